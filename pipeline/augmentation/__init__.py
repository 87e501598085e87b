"""The changes that leave an image in its class, on offer to both eras alike."""
