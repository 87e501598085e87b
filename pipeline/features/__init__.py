"""Image → vector.

Each module is one feature and has

Settings                                  the mapping `features` of the method in params.yaml
fit(images, settings, context)            what must be learned from train first: named arrays, {} for nothing
transform(images, settings, codebook, context)   uint8 (N, H, W, 3) → float32 or float16 (N, D), or codes
"""
