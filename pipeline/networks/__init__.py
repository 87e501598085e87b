"""The networks, one module each; families share their construction in parts/.

Each module has

Settings                                a Training section, with the network's own switches
build(settings, image_shape, classes)   an nn.Module: float (B, C, H, W), normalised → scores (B, classes)
variant(settings, image_shape)          how what is built differs from the publication, because of the images' size or
                                        the settings; "" where it doesn't

What build returns may also have, where a network needs it,

learn_from(images)                      sets what is computed from images of train and not trained: (B, C, H, W)
loss(scores, labels)                    its own criterion in the place of cross-entropy; a mean over the batch
parameter_groups()                      list of parts.groups.Group: which rate and optimiser each parameter gets
"""
