"""Page objects: all knowledge of a retailer's addresses and markup, one file per retailer."""
