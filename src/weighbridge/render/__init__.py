"""The CG studio: labelled images in real-time and in pre-rendered quality, behind `pip install weighbridge[render]`."""
