"""The languages the real service lists, so that a wrong code is refused here as it is there."""

LISTED = (
    "af sq ar az eu be bn bs bg ca zh hr cs da nl en et fi fr gl de el gu he hi hu id it ja kn kk ko lv lt mk ms ml mr no fa pl pt pa "  # codespell:ignore
    "ro ru sr sk sl es sw sv tl ta te th tr uk ur vi cy"  # codespell:ignore
)
KNOWN = frozenset(LISTED.split())
"""Two-letter codes (Soniox, "Supported languages"); `nb`, `nn` and `fil` are refused there, `no` and `tl` are right."""

ENGLISH = "en"
