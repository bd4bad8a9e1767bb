"""Web sites on 127.0.0.1 that serve a world of products and posts the way KREAM and OnTheLook do."""
