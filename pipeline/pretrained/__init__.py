"""Networks that learned from other images: what they make of these is a feature, and a linear SVM stands behind it.

Each module of a method has what a module of features/ has: Settings, fit and transform (features/base.py); what fit
gives, the "codebook", are the weights, so that a fitted model holds all that it needs.

weights.py              finds the file of weights, checks it, and opens it without running anything that it may hold
off_the_shelf.py        from images to the activations before the last layer
remembered.py           activations of images that are looked at again and again
torchvision_files.py    networks whose weights torchvision publishes: names in its files, and ours
"""
