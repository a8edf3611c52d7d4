"""How each language writes what the rules leave open: marks, quotation marks, numbers, prices, dates and receipts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from crnnocr.synth.text.grammar import Templates


@dataclass(frozen=True)
class LocaleFormats:
    """How a language writes things."""

    marks: Mapping[str, str] = field(default_factory=dict)
    """Its marks in place of those of `phrase_rules.PROSE`. `¿` and `¡` are written in Spanish only, and the mark for a space is
    used by scripts without spaces only."""
    quotes: tuple[str, ...] = ("“”", '""', "‘’")
    """Pairs of quotation marks; the first half of each pair opens, the second closes."""
    rules: Mapping[str, Templates] = field(default_factory=dict)
    """Rules that replace the common ones."""
    upper: Mapping[str, str] = field(default_factory=dict)
    """Upper case of letters, if it is not that of Unicode."""
    capitals: Mapping[str, str] = field(default_factory=dict)
    """Upper case of letters in texts that are all in capitals, if that is another again."""
    digits: str = ""
    """Its own digits from 0 to 9, which some texts have instead."""

    def with_rules(self, **rules: Templates) -> LocaleFormats:
        """The same with `rules` in place of others."""
        return replace(self, rules={**self.rules, **rules})


_PLAIN = LocaleFormats()
_COMMA = _PLAIN.with_rules(
    decimal=(",",),
    group=(".",),
    currency=("€",),
    price=("{amount} {currency}", "{amount} {currency}", "{amount}{currency}", "{currency} {amount}", "{#90} {currency}"),
    date={
        "{day}.{month}.{year}": 5,
        "{dayNumber}.{month}.{year}": 2,
        "{day}.{month}.{#00}": 2,
        "{day}/{month}/{year}": 2,
        "{dayNumber}. {monthName} {year}": 3,
        "{monthName} {year}": 1,
        "{year}-{month}-{day}": 1,
    },
)
_SPACED = _COMMA.with_rules(group=(" ",))
_SLASHED = _COMMA.with_rules(
    date={
        "{day}/{month}/{year}": 6,
        "{day}/{month}/{#00}": 2,
        "{day}-{month}-{year}": 1,
        "{dayNumber} {monthName} {year}": 3,
        "{year}-{month}-{day}": 1,
    }
)
_LOW = ("„“", "„”", '""')
_POINTED = ("«»", "„“", '""')
_GREEK_CAPITALS = dict(zip("άέήίόύώΐΰΆΈΉΊΌΎΏ", "ΑΕΗΙΟΥΩΪΫΑΕΗΙΟΥΩ", strict=True))
_RUPEES = _PLAIN.with_rules(
    currency=("₹", "₹", "Rs."), date=("{day}/{month}/{year}", "{day}-{month}-{year}", "{dayNumber} {monthName} {year}")
)
_CJK_MARKS = {",": "，", ".": "。", "?": "？", "!": "！", ":": "：", ";": "；", "…": "……"}
_ARABIC_MARKS = {",": "،", "?": "؟", ";": "؛"}

DEFAULT = _PLAIN
"""For a language without a row of its own."""

LOCALE_FORMATS: dict[str, LocaleFormats] = {
    "ar": replace(_SLASHED, marks=_ARABIC_MARKS, quotes=("«»", "“”", '""'), digits="٠١٢٣٤٥٦٧٨٩").with_rules(
        decimal=(".",),
        group=(",",),
        currency=("ر.س", "د.إ", "ج.م", "$", "€"),
        unit=("كغ", "غ", "كم", "م", "سم", "لتر", "مل"),
        total=("المجموع", "الإجمالي", "المبلغ"),
        tax=("الضريبة", "ضريبة القيمة المضافة"),
        paid=("نقدا", "بطاقة", "الباقي"),
        receipt=("رقم",),
    ),
    "bg": replace(_SPACED, quotes=_LOW).with_rules(
        currency=("лв.", "лв", "€"),
        unit=("кг", "г", "л", "мл", "км", "м", "см", "бр."),
        total=("ОБЩО", "ВСИЧКО", "СУМА"),
        tax=("ДДС",),
        paid=("В БРОЙ", "КАРТА", "РЕСТО"),
        receipt=("БОН №",),
    ),
    "bn": replace(_PLAIN, marks={".": "।"}, digits="০১২৩৪৫৬৭৮৯").with_rules(
        currency=("৳",),
        unit=("কেজি", "গ্রাম", "কিমি", "লিটার", "মিটার"),
        total=("মোট", "সর্বমোট"),
        tax=("ভ্যাট", "কর"),
        paid=("নগদ", "কার্ড", "ফেরত"),
        receipt=("নং",),
    ),
    "ca": replace(_SLASHED, quotes=("«»", "“”", '""')).with_rules(
        total=("TOTAL", "SUBTOTAL", "IMPORT"), tax=("IVA",), paid=("EFECTIU", "TARGETA", "CANVI"), receipt=("Tiquet",)
    ),
    "cs": replace(_SPACED, quotes=("„“", "‚‘", '""')).with_rules(
        currency=("Kč", "Kč", "€"),
        total=("CELKEM", "MEZISOUČET"),
        tax=("DPH",),
        paid=("HOTOVOST", "KARTA", "VRÁCENO"),
        receipt=("Účtenka č.",),
    ),
    "da": replace(_COMMA, quotes=("»«", "”“", '""')).with_rules(
        currency=("kr.", "kr", "DKK"),
        total=("I ALT", "TOTAL", "SUBTOTAL"),
        tax=("MOMS",),
        paid=("KONTANT", "KORT", "BYTTEPENGE"),
        receipt=("Bon nr.",),
    ),
    "de": replace(_COMMA, quotes=("„“", "»«", "‚‘", '""')).with_rules(
        total=("SUMME", "GESAMT", "Zwischensumme", "ZU ZAHLEN"),
        tax=("MwSt.", "MWST", "USt."),
        paid=("BAR", "EC-KARTE", "RÜCKGELD", "Gegeben"),
        receipt=("Beleg-Nr.", "Bon"),
    ),
    "el": replace(_SLASHED, marks={"?": ";", ";": "·"}, quotes=("«»", "“”"), capitals=_GREEK_CAPITALS).with_rules(
        unit=("κιλά", "γρ.", "λίτρα", "χλμ.", "μ.", "εκ.", "kg"),
        total=("ΣΥΝΟΛΟ", "ΜΕΡΙΚΟ ΣΥΝΟΛΟ", "ΠΛΗΡΩΤΕΟ"),
        tax=("Φ.Π.Α.", "ΦΠΑ"),
        paid=("ΜΕΤΡΗΤΑ", "ΚΑΡΤΑ", "ΡΕΣΤΑ"),
        receipt=("ΑΠΟΔΕΙΞΗ",),
    ),
    "en": _PLAIN.with_rules(
        currency={"$": 5, "£": 3, "€": 2, "¥": 0.5},
        price={
            "{currency}{amount}": 6,
            "{currency}{#90}": 2,
            "{currency}{grouped}": 1,
            "{amount} {currency}": 1,
            "{#90}¢": 0.5,
            "USD {amount}": 0.5,
        },
        unit=(
            "kg",
            "g",
            "ml",
            "L",
            "cm",
            "mm",
            "km",
            "m",
            "°C",
            "°F",
            "km/h",
            "mph",
            "oz",
            "lb",
            "ft",
            "in",
            "W",
            "GB",
            "m²",
            "µm",
            "kWh",
        ),
        date={
            "{month}/{day}/{year}": 4,
            "{dayNumber}/{month}/{#00}": 2,
            "{day}.{month}.{year}": 2,
            "{day}-{month}-{year}": 1,
            "{monthName} {dayNumber}, {year}": 3,
            "{dayNumber} {monthName} {year}": 2,
            "{monthName} {year}": 1,
            "{year}-{month}-{day}": 2,
        },
        time={
            "{hour}:{#50}": 5,
            "{hour}:{#50}:{#50}": 2,
            "{hourNumber}:{#50} PM": 2,
            "{hourNumber}:{#50} am": 1,
            "{#9}am-{#9}pm": 0.5,
        },
        total=("TOTAL", "SUBTOTAL", "BALANCE DUE", "AMOUNT", "Total"),
        tax=("TAX", "SALES TAX", "VAT", "GST"),
        paid=("CASH", "CHANGE", "CARD", "VISA", "CREDIT", "TIP"),
        shop=("{name}’s",),
        receipt=("No.", "ORDER", "Invoice #", "Table"),
    ),
    "es": replace(_SLASHED, marks={"¿": "¿", "¡": "¡"}, quotes=("«»", "“”", '""')).with_rules(
        currency=("€", "€", "$"),
        total=("TOTAL", "SUBTOTAL", "IMPORTE"),
        tax=("IVA", "I.V.A."),
        paid=("EFECTIVO", "TARJETA", "CAMBIO"),
        receipt=("Ticket", "Factura n.º"),
    ),
    "fa": replace(_PLAIN, marks=_ARABIC_MARKS, quotes=("«»", '""'), digits="۰۱۲۳۴۵۶۷۸۹").with_rules(
        currency=("ریال", "تومان"),
        price=("{amount} {currency}",),
        date=("{year}/{month}/{day}", "{day}/{month}/{year}"),
        unit=("کیلو", "گرم", "لیتر", "متر", "کیلومتر"),
        total=("جمع", "جمع کل", "مبلغ"),
        tax=("مالیات",),
        paid=("نقدی", "کارت", "باقیمانده"),
        receipt=("شماره",),
    ),
    "fi": replace(_SPACED, quotes=("””", "»»", '""')).with_rules(
        total=("YHTEENSÄ", "VÄLISUMMA"), tax=("ALV",), paid=("KÄTEINEN", "KORTTI", "TAKAISIN"), receipt=("Kuitti",)
    ),
    "fil": replace(_PLAIN).with_rules(
        currency=("₱",), total=("KABUUAN", "TOTAL"), tax=("VAT",), paid=("CASH", "SUKLI", "CARD"), receipt=("OR No.",)
    ),
    "fr": replace(_SLASHED, marks={"?": " ?", "!": " !", ":": " :", ";": " ;"}, quotes=("«  »", "“”", '""')).with_rules(
        group=(" ",),
        total=("TOTAL", "SOUS-TOTAL", "À PAYER", "MONTANT"),
        tax=("TVA",),
        paid=("ESPÈCES", "CARTE", "RENDU", "CB"),
        receipt=("Ticket n°", "N°"),
    ),
    "he": replace(_PLAIN, quotes=('""', "“”", "„”")).with_rules(
        currency=("₪", "₪", 'ש"ח'),
        price=("{amount} {currency}", "{amount} ₪", "₪{amount}", "₪ {#90}"),
        date=("{day}/{month}/{year}", "{day}.{month}.{#00}", "{dayNumber}.{month}.{year}"),
        unit=('ק"ג', "גרם", 'ק"מ', 'ס"מ', "ליטר", 'מ"ל'),
        total=('סה"כ', "לתשלום", "סכום"),
        tax=('מע"מ',),
        paid=("מזומן", "אשראי", "עודף"),
        receipt=("קבלה", "מס'"),
    ),
    "hi": replace(_RUPEES, marks={".": "।"}, digits="०१२३४५६७८९").with_rules(
        unit=("किग्रा", "ग्राम", "किमी", "लीटर", "मीटर"),
        total=("कुल", "कुल योग", "राशि"),
        tax=("कर", "जीएसटी"),
        paid=("नकद", "कार्ड", "शेष"),
        receipt=("बिल सं.", "क्र."),
    ),
    "hr": replace(_COMMA, quotes=("„”", "»«", '""')).with_rules(
        total=("UKUPNO", "ZA PLATITI"), tax=("PDV",), paid=("GOTOVINA", "KARTICA", "POVRAT"), receipt=("Račun br.",)
    ),
    "hu": replace(_SPACED, quotes=("„”", "»«", '""')).with_rules(
        currency=("Ft", "Ft", "€"),
        date=("{year}. {month}. {day}.", "{year}.{month}.{day}.", "{year}. {monthName} {dayNumber}."),
        total=("ÖSSZESEN", "RÉSZÖSSZEG"),
        tax=("ÁFA",),
        paid=("KÉSZPÉNZ", "BANKKÁRTYA", "VISSZAJÁRÓ"),
        receipt=("Nyugtaszám",),
    ),
    "id": _SLASHED.with_rules(
        currency=("Rp", "Rp", "IDR"),
        price=("{currency} {grouped}", "{currency}{grouped}", "{currency} {amount}"),
        total=("TOTAL", "JUMLAH", "SUBTOTAL"),
        tax=("PPN", "PAJAK"),
        paid=("TUNAI", "KARTU", "KEMBALI"),
        receipt=("No.",),
    ),
    "is": replace(_COMMA, quotes=("„“", '""')).with_rules(
        currency=("kr.", "kr"), total=("SAMTALS", "ALLS"), tax=("VSK",), paid=("REIÐUFÉ", "KORT", "AFGANGUR"), receipt=("Nr.",)
    ),
    "it": replace(_SLASHED, quotes=("«»", "“”", '""')).with_rules(
        total=("TOTALE", "SUBTOTALE", "TOTALE COMPLESSIVO"),
        tax=("IVA", "di cui IVA"),
        paid=("CONTANTI", "CARTA", "RESTO"),
        receipt=("Scontrino n.", "DOCUMENTO N."),
    ),
    "ja": replace(_PLAIN, marks={**_CJK_MARKS, ",": "、"}, quotes=("「」", "『』", "（）")).with_rules(
        currency=("¥", "￥"),
        price=("{currency}{grouped}", "{currency}{#900}", "{#900}円", "{grouped}円"),
        amount=("{grouped}", "{#900}", "{#90}"),
        date=(
            "{year}年{monthNumber}月{dayNumber}日",
            "{year}/{month}/{day}",
            "{monthNumber}月{dayNumber}日",
            "令和{#9}年{#9}月",
            "{year}.{month}.{day}",
        ),
        time=("{hour}:{#50}", "{#9}時{#50}分", "午前{#9}時", "午後{#9}:{#50}"),
        unit=("個", "本", "枚", "円", "人", "kg", "g", "ml", "cm", "分", "階"),
        quantity=("{#9}{unit}", "{#90}{unit}", "{#900}{unit}"),
        address=("{city}{#9}丁目{#90}番{#9}号", "{city}{#9}-{#90}-{#9}", "〒{#000-0000}"),
        total=("合計", "小計", "お会計"),
        tax=("消費税", "内税"),
        paid=("現金", "お釣り", "カード", "お預り"),
        receipt=("領収書", "レジ"),
    ),
    "ko": replace(_PLAIN, quotes=("“”", "‘’", "「」", '""')).with_rules(
        currency=("₩", "₩"),
        price=("{grouped}원", "{#900}원", "{currency}{grouped}", "{#9}만원"),
        amount=("{grouped}", "{#900}"),
        date=(
            "{year}년 {monthNumber}월 {dayNumber}일",
            "{year}.{month}.{day}",
            "{year}-{month}-{day}",
            "{monthNumber}월 {dayNumber}일",
        ),
        time=("{hour}:{#50}", "오전 {#9}시", "오후 {#9}시 {#50}분"),
        unit=("개", "명", "원", "병", "잔", "kg", "g", "ml", "층"),
        quantity=("{#9}{unit}", "{#90}{unit}"),
        total=("합계", "총액", "소계"),
        tax=("부가세", "세금"),
        paid=("현금", "카드", "거스름돈"),
        receipt=("영수증", "번호"),
    ),
    "lt": replace(_SPACED, quotes=_LOW).with_rules(
        total=("IŠ VISO", "SUMA", "MOKĖTI"), tax=("PVM",), paid=("GRYNIEJI", "KORTELĖ", "GRĄŽA"), receipt=("Kvitas",)
    ),
    "lv": replace(_SPACED, quotes=_LOW).with_rules(
        total=("KOPĀ", "SUMMA"), tax=("PVN",), paid=("SKAIDRA NAUDA", "KARTE", "ATLIKUMS"), receipt=("Čeks",)
    ),
    "mk": replace(_COMMA, quotes=_LOW).with_rules(
        currency=("ден.", "МКД"),
        unit=("кг", "г", "л", "км", "м", "см"),
        total=("ВКУПНО", "ЗА ПЛАЌАЊЕ"),
        tax=("ДДВ",),
        paid=("ГОТОВИНА", "КАРТИЧКА", "КУСУР"),
        receipt=("Бр.",),
    ),
    "ms": _PLAIN.with_rules(
        currency=("RM", "RM"),
        price=("{currency}{amount}", "{currency} {amount}"),
        total=("JUMLAH", "JUMLAH KECIL"),
        tax=("CUKAI", "SST"),
        paid=("TUNAI", "KAD", "BAKI"),
        receipt=("No. Resit",),
    ),
    "nb": replace(_SPACED, quotes=("«»", "“”", '""')).with_rules(
        currency=("kr", "kr", "NOK"),
        total=("TOTALT", "SUM", "Å BETALE"),
        tax=("MVA",),
        paid=("KONTANT", "KORT", "TILBAKE"),
        receipt=("Kvittering nr.",),
    ),
    "nl": replace(_COMMA, quotes=("‘’", "“”", "„”")).with_rules(
        price=("€ {amount}", "€{amount}", "€ {#90},-"),
        date=("{day}-{month}-{year}", "{dayNumber} {monthName} {year}", "{day}/{month}/{#00}"),
        total=("TOTAAL", "SUBTOTAAL", "TE BETALEN"),
        tax=("BTW",),
        paid=("CONTANT", "PIN", "WISSELGELD"),
        receipt=("Bonnr.",),
    ),
    "pl": replace(_SPACED, quotes=("„”", "«»", '""')).with_rules(
        currency=("zł", "zł", "PLN"),
        total=("SUMA", "RAZEM", "DO ZAPŁATY"),
        tax=("VAT", "PTU A"),
        paid=("GOTÓWKA", "KARTA", "RESZTA"),
        receipt=("Paragon nr",),
    ),
    "pt": replace(_SLASHED, quotes=("“”", "«»", '""')).with_rules(
        currency=("€", "R$"),
        total=("TOTAL", "SUBTOTAL", "TOTAL A PAGAR"),
        tax=("IVA", "ICMS"),
        paid=("DINHEIRO", "CARTÃO", "TROCO"),
        receipt=("Fatura n.º", "Cupom"),
    ),
    "ro": replace(_COMMA, quotes=("„”", "«»")).with_rules(
        currency=("lei", "RON", "€"),
        total=("TOTAL", "SUBTOTAL", "DE PLATĂ"),
        tax=("TVA",),
        paid=("NUMERAR", "CARD", "REST"),
        receipt=("Bon fiscal",),
    ),
    "ru": replace(_SPACED, quotes=_POINTED).with_rules(
        currency=("₽", "руб.", "р.", "$"),
        unit=("кг", "г", "л", "мл", "км", "м", "см", "шт.", "°C"),
        date={"{day}.{month}.{year}": 5, "{day}.{month}.{#00}": 2, "{dayNumber}.{month}.{year} г.": 1, "{monthName} {year}": 1},
        total=("ИТОГ", "ИТОГО", "К ОПЛАТЕ", "ВСЕГО"),
        tax=("НДС",),
        paid=("НАЛИЧНЫМИ", "КАРТА", "СДАЧА", "БЕЗНАЛИЧНЫМИ"),
        receipt=("ЧЕК №", "КАССА"),
    ),
    "sk": replace(_SPACED, quotes=("„“", "‚‘", '""')).with_rules(
        total=("SPOLU", "CELKOM", "K ÚHRADE"), tax=("DPH",), paid=("HOTOVOSŤ", "KARTA", "VRÁTENÉ"), receipt=("Doklad č.",)
    ),
    "sl": replace(_COMMA, quotes=("„“", "»«", '""')).with_rules(
        total=("SKUPAJ", "ZA PLAČILO"), tax=("DDV",), paid=("GOTOVINA", "KARTICA", "VRAČILO"), receipt=("Račun št.",)
    ),
    "sr": replace(_COMMA, quotes=("„“", "„”", '""')).with_rules(
        currency=("din.", "RSD"),
        total=("UKUPNO", "ZA UPLATU"),
        tax=("PDV",),
        paid=("GOTOVINA", "KARTICA", "POVRAĆAJ"),
        receipt=("Račun br.",),
    ),
    "sv": replace(_SPACED, quotes=("””", "»»", '""')).with_rules(
        currency=("kr", "kr", "SEK"),
        date=("{year}-{month}-{day}", "{dayNumber}/{month} {year}", "{day}.{month}.{year}"),
        total=("TOTALT", "SUMMA", "ATT BETALA"),
        tax=("MOMS",),
        paid=("KONTANT", "KORT", "VÄXEL"),
        receipt=("Kvitto nr",),
    ),
    "ta": replace(_RUPEES).with_rules(
        unit=("கிலோ", "கிராம்", "கிமீ", "லிட்டர்", "மீட்டர்"),
        total=("மொத்தம்", "கூட்டு"),
        tax=("வரி",),
        paid=("பணம்", "அட்டை", "மீதி"),
        receipt=("எண்",),
    ),
    "th": replace(_PLAIN, marks={" ": " ", ",": "", ".": "", ";": "", ":": ":"}, digits="๐๑๒๓๔๕๖๗๘๙").with_rules(
        currency=("฿", "บาท"),
        price=("{amount} บาท", "฿{amount}", "{#90} บาท", "{grouped}.-"),
        date=("{dayNumber} {monthName} 25{#00}", "{day}/{month}/25{#00}"),
        unit=("กก.", "กรัม", "กม.", "ลิตร", "เมตร", "ชิ้น"),
        total=("รวม", "ยอดรวม", "รวมทั้งสิ้น"),
        tax=("ภาษี", "VAT"),
        paid=("เงินสด", "เงินทอน", "บัตร"),
        receipt=("เลขที่", "ใบเสร็จ"),
    ),
    "tr": replace(_COMMA, quotes=("“”", "‘’", '""'), upper={"i": "İ"}).with_rules(
        currency=("₺", "TL"),
        price=("{amount} TL", "₺{amount}", "{amount} ₺", "{#90} TL"),
        total=("TOPLAM", "ARA TOPLAM", "TUTAR"),
        tax=("KDV", "TOPKDV"),
        paid=("NAKİT", "KREDİ KARTI", "PARA ÜSTÜ"),
        receipt=("FİŞ NO",),
    ),
    "uk": replace(_SPACED, quotes=_POINTED).with_rules(
        currency=("₴", "грн", "грн."),
        unit=("кг", "г", "л", "мл", "км", "м", "см", "шт."),
        total=("СУМА", "РАЗОМ", "ДО СПЛАТИ"),
        tax=("ПДВ",),
        paid=("ГОТІВКА", "КАРТКА", "РЕШТА"),
        receipt=("ЧЕК №",),
    ),
    "ur": replace(_PLAIN, marks={**_ARABIC_MARKS, ".": "۔"}, quotes=("“”", "‘’"), digits="۰۱۲۳۴۵۶۷۸۹").with_rules(
        currency=("روپے", "Rs."),
        price=("{amount} {currency}", "{currency} {amount}"),
        unit=("کلو", "گرام", "لیٹر", "میٹر", "کلومیٹر"),
        total=("کل", "کل رقم"),
        tax=("ٹیکس",),
        paid=("نقد", "کارڈ", "بقایا"),
        receipt=("نمبر",),
    ),
    "vi": _SLASHED.with_rules(
        currency=("đ", "₫", "VND"),
        price=("{grouped}{currency}", "{grouped} {currency}", "{#90}.000đ"),
        amount=("{grouped}", "{#90}.000"),
        total=("TỔNG CỘNG", "THÀNH TIỀN", "TỔNG"),
        tax=("THUẾ", "VAT"),
        paid=("TIỀN MẶT", "THẺ", "TIỀN THỪA"),
        receipt=("Số HĐ",),
    ),
    "zh": replace(_PLAIN, marks=_CJK_MARKS, quotes=("“”", "《》", "「」", "（）", "【】")).with_rules(
        currency=("¥", "￥"),
        price=("{currency}{amount}", "{amount}元", "{#90}元", "{currency}{#90}"),
        date=(
            "{year}年{monthNumber}月{dayNumber}日",
            "{monthNumber}月{dayNumber}日",
            "{year}-{month}-{day}",
            "{year}/{month}/{day}",
            "{year}年",
        ),
        time=("{hour}:{#50}", "上午{#9}:{#50}", "下午{#9}点", "{#9}点{#50}分"),
        unit=("元", "个", "克", "公斤", "米", "公里", "毫升", "人", "kg", "ml", "号"),
        quantity=("{#9}{unit}", "{#90}{unit}", "{#900}{unit}"),
        address=("{city}{word}路{#900}号", "{word}街{#90}号", "{city}{word}区{word}路{#90}弄{#9}号"),
        total=("合计", "总计", "小计", "应收"),
        tax=("税额", "增值税"),
        paid=("现金", "找零", "微信支付", "支付宝"),
        receipt=("单号", "收银机", "No."),
    ),
}
"""By the code of the language."""
