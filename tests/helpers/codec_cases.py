"""Files of the codecs that are wrong in one thing each: name, maker and code."""

from tests.helpers.d3m_files import D3M_CASES
from tests.helpers.expanded_files import EXPANDED_CASES
from tests.helpers.lic_files import LIC_CASES
from tests.helpers.ppodd_files import PPODD_CASES
from tests.helpers.transformed_files import TRANSFORMED_CASES

CODEC_CASES = LIC_CASES + PPODD_CASES + D3M_CASES + EXPANDED_CASES + TRANSFORMED_CASES
