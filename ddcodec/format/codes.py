"""The numbered rules of the format: one code for each way a file can be wrong."""

from __future__ import annotations

CODES: dict[str, str] = {
    "DDS-E001": "the file is empty, too short for a header, or larger than the limit",
    "DDS-E002": "the header length is zero, over the limit, or runs past the end of the file",
    "DDS-E003": "the header is not strict JSON in UTF-8 (duplicate key, NaN, deep nesting, ...)",
    "DDS-E004": "the header is not in canonical form",
    "DDS-E005": "the metadata does not hold exactly one key, 'ddset'",
    "DDS-E006": "a tensor entry is malformed (fields, dtype, shape, offsets)",
    "DDS-E007": "the tensor data overlap, leave a hole, or do not end with the file",
    "DDS-E008": "a tensor name is not allowed",
    "DDS-E010": "a manifest field is missing, unknown or has the wrong type",
    "DDS-E011": "a class list, class index or class order is not valid",
    "DDS-E012": "the image or patch geometry is not valid",
    "DDS-E013": "the stored tensors are not those that the manifest lists",
    "DDS-E014": "the labels, or a preprocessing, are not valid",
    "DDS-E020": "a quantiser is not valid (bits, scale, offset)",
    "DDS-E021": "a zstd frame is damaged, has another size, a dictionary, a second frame or a "
    "window over the limit",
    "DDS-E022": "a decoded symbol is out of range",
    "DDS-E023": "a decoded value is not finite",
    "DDS-E024": "a piece of the coder context is not one that an encoder writes",
    "DDS-E025": "a WebP or AVIF picture is damaged, or not a plain one of the size of its images",
    "DDS-E030": "the digest of the stored data does not match",
    "DDS-E031": "the digest of a decoded chunk does not match",
    "DDS-E032": "the content digest does not match",
    "DDS-E040": "the file asks for more than a limit allows",
}
