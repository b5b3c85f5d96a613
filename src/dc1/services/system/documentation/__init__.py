"""The OpenAPI document as a page for people: one file without scripts that loads nothing from anywhere."""

from dc1.services.system.documentation.page import documentation_page

__all__ = ["documentation_page"]
