"""Words that are names of persons too: one of them alone names nobody, so that a text about a walker, a stone or summer stays as it is."""

import re
from functools import cache

from connectors.letters import letters_of
from messages.catalogue import codes, names, template

__all__ = ["is_ordinary"]

# anatomy, departments, devices and makers, filters and signs named after somebody, and what people write in notes
_ENGLISH = """
abdomen adult after anger ankle anterior aorta april artery august autumn back battle before bell belly best bishop black blood blow blue
body bolus bone bones bowel brain breast bright bring brook brooks brown bull burn bush butcher butler butterworth call camera canon carbon
carpenter carter case castle cell center central chance chapel chase chest child christian church clay clear clinic coat cold cole colon
cook cool cooper copper coronal count counts cover cowper craft crane crisp cross crystal cylinder daily dale dawn death decay delay dental
digital doctor dolphin dose dover drake drink drop dynamic easter eating elbow elder electric elite emergency emory english even event face
faith fall falls fast father feet fell female femur ferry fever field fields fine finger first fisher flood florence flow flower floyd foot
ford forest foster fowler fraction frame frank freeman french frost full gallium gamma gann garden gate gates gauss general georgia german
gerson gland glass gold good grace grand grant grave gray great green grey grove guard hall hamilton hammer hand hann harmony hart haste
hawk haze head heal health heard heart heat hepatic high hill holder holiday home hood hope horn hose house human hunt hunter image imaging
indium infant injection intensity iodine iron island israel jack jaw jewel joint jordan joy judge june justice keen kidney kidneys king knee
knight lake lamb lane large laser late lateral lead left legs lens liberty light little liver logan london long loop lord love lower lung
lungs lutetium magic major male manual march marina marker mars marshal marshall martin mason master meadow mediso melody mercy merry mesh
metal miller mode monday moon moore morning mother motion mount mouth muller murphy muscle myocardial neck nerve night noble noon normal
north nose nurse oral organ page pain palm palmer parker parotid part parzen patience patient peak peer pelvis penny perfusion phantom
philips phoenix pitt planar plant point pole pool poor pope porter posterior potter pound power price prime prince prone protocol pump quick
rain ramp raymond read reader rear recovery reed region renal reply rest rhodes rice rich right ring river rivers road robin rock room root
rose round rush sage sail saint saliva salt sample sand savage scan scout screen season second senior series serum seven shaft sharp shaw
shepherd shepp short shoulder siemens silver simple singer single skin skull sleep slice small smart smith snow solid south spear spectrum
speed spencer spine spleen spot spring stable staff standard start static steel stern sternum stone storm strange stress strong study summer
sunday supine swallow sweet table tail taylor technetium temple tendon test texas thomas thyroid tiger time tissue today tomo tongue tooth
toshiba total tower town travel tree trinity triple tumor tumour turn turner upper uptake urine valley vein venture victory view violet
virginia walker wall ward warm waste watch water waters weber week weight well west wheel white whole wild wind window winter wise wolf wood
woods work worth wrist young younger
"""
ENGLISH = frozenset(_ENGLISH.split())
_CHINESE = """
一般 上官 上海 世纪 东方 东海 中华 中国 中心 丰富 人民 保健 保卫 健康 元旦 先进 光明 光荣 全国 全部 冬天 初一
前进 北京 华东 华北 华南 南京 友好 可能 向前 和平 国家 国庆 夏天 大海 大雪 天明 天津 安全 安宁 安康 安心 安静
宝宝 少年 左右 希望 平均 平安 平时 平静 广州 康复 建军 建国 建立 建设 开放 开明 快乐 思想 成功 成立 文化 文明
文静 新华 新生 方便 方向 时光 明天 明显 明白 春天 春节 月光 正常 正常人 正直 正确 永久 永远 注意 泰山 海洋 清明
清晨 清楚 清洁 秋天 红梅 胜利 自强 自然 自立 英文 进步 重庆 金星 长征 长春 长江 阳光 阳性 雪白 青年 顺利 高兴
高原 高峰 黄河
"""
CHINESE = frozenset(map(letters_of, _CHINESE.split()))
HAN = re.compile("[\u3400-\u9fff]")


def is_ordinary(letters: str) -> bool:
    """Return whether letters (small, in one form, as names are compared) are a word of the language or of this product's own texts."""
    if HAN.search(letters):
        return letters in CHINESE or letters in _own_chinese()
    return letters in ENGLISH or letters in _words()


@cache
def _own(language: str) -> str:
    texts = [*(template(code, language) or "" for code in sorted(codes()))]
    for kind in ("step", "form", "measure", "exam", "policy"):
        texts += names(kind, language).values()
    return "\n".join(texts)


@cache
def _own_chinese() -> str:
    return "\n".join(map(letters_of, _own("zh").splitlines()))


@cache
def _words() -> frozenset[str]:
    return frozenset(re.findall("[a-z]{4,}", _own("en").lower()))
