"""How the world is drawn: garments as flat rasters, bent onto a posed body, set in a scene, seen by a camera."""
