"""The networks.

Each module is one network and has

Settings                                a Training section, with the network's own switches
build(settings, image_shape, classes)   an nn.Module: float (B, C, H, W), normalised → scores (B, classes)
"""
