"""The OpenAPI document as a page for people, in English or Arabic: one file that loads nothing from anywhere."""

from dc1.services.system.documentation.page import documentation_page

__all__ = ["documentation_page"]
