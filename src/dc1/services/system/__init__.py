"""SystemService: health, the OpenAPI document and the page made of it."""
