"""The generator of gen/ from proto/: modules, stubs, descriptors, the OpenAPI document and what edge and console read.

It is a tool of the checkout (`make gen`), needs the development requirements and is no part of the installed package.
"""
