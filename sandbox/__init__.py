"""A drawn world of products and posts with ground truth, and the web sites that serve it."""
