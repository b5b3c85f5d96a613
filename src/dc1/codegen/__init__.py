"""The generator of gen/ from proto/: Python modules, stubs, descriptor set, OpenAPI document and the edge's part.

It is a tool of the checkout (`make gen`), needs the development requirements and is no part of the installed package.
"""
