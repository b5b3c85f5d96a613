"""Writes gen/ from proto/: Python modules and stubs, the descriptor set and the OpenAPI document.

It is a tool of the checkout (`make gen`), needs the development requirements and is no part of the installed package.
"""
