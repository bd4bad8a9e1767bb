"""Find: from a photo to the shop's products, as a library, an HTTP service and a page."""
