"""The CG studio: labelled images in real-time and in pre-rendered quality. Needs `pip install 'weighbridge[render]'`."""
