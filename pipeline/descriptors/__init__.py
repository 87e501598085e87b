"""Image → local descriptors, on dense grids or at keypoints; and banks of filters."""
