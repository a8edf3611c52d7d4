"""Pairs of colors that stand side by side in photographs, all in the public domain, CC0 or under the MIT license.

`recipes/colors.py` made them, and names the photographs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HEX = """
211137-aa9e9a 464631-fcfbfb 4a3e69-d1cbd1 1c1035-908a7e 201e1b-918f95 2a2a20-f1e9e9 341112-d17455 73571c-cdc1b6
7a1b20-b8a8a9 1b190e-e0d9d9 474441-d5d2d7 38291a-ada3a0 040404-e5dedd 170e08-b6a19b 433329-c3b7ae 58401f-d3b69e
2e1d0f-95857d 1c1813-f0eeed 0e0d0a-837c77 725e63-ded2d1 450d09-d3623f 3d3936-aba8ab ac5336-f0e8e4 761a1e-aa9590
11100d-918986 4f3915-b89c7b 8e2e2c-c7adb4 573b81-c1b5ca 674c31-d7baa5 090707-f4f0f3 4c1e14-c7b7ae 706d5f-f9f7f7
7f6435-d1c9c5 632919-cdc2bb 5e4183-d6c2ce 483713-cdc3be 2e0503-c4b7af 090603-9e8c6f 3d2f1b-b4a084 4f4028-ada9a7
412013-ab826c 3e2312-b28155 542a15-b38c71 271f12-a17859 501006-f2dfcd ad5c32-f3e1cd 73190c-eee9e7 c3642e-f6eee5
b73c1d-f0d4c4 ad3014-f3e0d0 a04122-f4e3d1 b83913-f0b98c 2d0e06-c78a5c 5f2914-daa577 341108-d09d72 761b0e-f1dfcf
651609-e6c5a2 741a0d-f2d3b2 521f0e-cd9363 510e05-f1d3b3 210905-b38d6d 510e05-d9ae8b 81654d-eeede9 952811-f2dfcd
a22910-efc8a6 72513a-e5ddd7 471b0c-c38355 c76524-f6e5d0 be7446-f4e5d7 c14d20-f3c095 b05427-f5ece6 8f2b15-edd3b9
2f0f06-a8693f 7a200d-e2bd9b 812918-f4e8de 2e140e-bb9675 85351d-e7d7ca b05427-ead2bb a13116-ddb590 552613-e2b48a
8b1c09-dfa478 2e0e06-b97a4e 623d27-decfc0 210903-96714b 5b5d65-d7c7a9 545967-c8b891 4f504d-dfdfca 735940-dcbf8f
635955-d7c199 555049-c5b590 67685a-e1e0cc 766656-dec59d 534343-e9c479 56564d-cac9ac 474e60-bcae8c 693f31-dea76e
4d2a24-cf8857 5e362a-ce955f 583126-dea26d 5d3a37-e39556 744533-e6b37e 2f3440-b29a89 5f7995-dddccc 222836-c9c0b9
2f3640-c4ac98 3a495e-cac4bb 0a1d32-7b7a76 333536-cbcdd2 384c60-e9e5cd 66554f-d8c0a7 5f6b81-ece7cc 42556b-ddd6be
474245-c5c2bf 4c403f-b7afa7 838286-eee7ca 3c3d47-ddd7d4 1a2131-a1897d 7a5142-d1baa7 453d38-bda07e 1d2333-bdaea5
8b563f-e6bc95 746760-ced0d4 4a638d-dcd3c4 383939-bcb9b9 544942-c6a686 5e534d-cccac9 4d6990-bfcbc2 1a2735-a5a183
666e80-d5cebe 26292a-b9a392 6a5c55-c3beb8 101d26-c9c6c2 3f494f-b9a28c 594544-cbb29a 57525b-c7b19e 766258-dbc6ae
1c262f-aca06b 717481-e3dbc5 1d2732-c6c8d0 1a2425-948170 574948-e1c8ae 8e6650-f8ead9 362311-efc65c ae6b5b-f1edea
8f4f41-e2e6e8 a76b44-f6e9da 74441b-dfac42 a5795b-f5e8d7 815829-eabe5e 8d5126-efca74 503d2f-d2a151 a46c4a-eadac7
7c6461-bfdbe6 59544a-deb25c 704a24-f5cb6c 984a2c-eadbc9 674430-f3e2d0 928a4d-fcecd5 643c18-cea141 a78038-f4e7d6
80533a-f5e6d4 a85236-f6e9d8 8f866e-f6e6cd a3592d-f6cb55 946239-f9ecdc 50653f-efcb60 946561-d1e0ea 946628-f4d36d
b5876c-f3f0ef 8d6023-f3e5d4 483019-e8c169 9a5842-e3d1c1 734436-d7a79e 3d2a16-e4c27e 7f7a42-fcebd2 2a1e2b-ad8041
6b462e-e4bf7f 8d6a2b-e6d8c6 895b30-efc185 0b367a-769eb2 b85e41-eddfcf 1388c3-86e6f6 2da3d5-befafd 2095d3-a1f0f9
"""


def _parsed(words: list[str]) -> NDArray[np.float32]:
    rows = [list(bytes.fromhex(word.replace("-", ""))) for word in words]
    return np.array(rows, np.float32).reshape(-1, 2, 3)


COLOR_PAIRS = _parsed(_HEX.split())
"""(N, 2, 3) float32: red, green and blue, 0 to 255, of a darker color and a lighter one."""
