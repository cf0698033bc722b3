"""What people's `keras.json` may hold."""

# Keras starts with these, as it ignores what is no JSON.
TAKEN = (
    b"",
    b"{broken",
    b"\xff\xfe\x00",
    b"{}",
    b'{"image_data_format": "channels_first", "floatx": "float64", "epsilon": 0.001}',
    b'{"backend": "torch"}',
)

# It ends with a traceback at these.
REFUSED = (
    b"null",
    b"[]",
    b"3",
    b'{"floatx": "float8"}',
    b'{"floatx": null}',
    b'{"floatx": ["float32"]}',
    b'{"epsilon": 1}',
    b'{"epsilon": "1e-7"}',
    b'{"image_data_format": "th"}',
    b'{"image_data_format": {}}',
    b"[" * 100_000,
)
