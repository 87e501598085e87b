"""What breaks fitted models: the same test images, changed in one way after the other, and who still knows them."""
