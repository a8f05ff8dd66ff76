"""The character set of bytes, whatever they are declared to be."""

import pytest

from connectors.charsets import coded_twice, reading, readings


@pytest.mark.parametrize("declared", [None, "ascii", "iso-8859-1", "iso-8859-15", "utf-8", "gb18030"])
@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
@pytest.mark.parametrize(
    "text", ["张^三", "PID|1||王^五~WANG^WU|男", "诸葛^孔明 全身骨显像（静态）", "朱镕基", "ZHANG^SAN=张^三^^", "欧阳　娜娜"]
)
def test_valid_text_of_several_bytes_wins(text: str, codec: str, declared: str | None) -> None:
    found = reading(text.encode(codec), declared)
    assert found.text == text
    assert found.doubtful == (declared != codec)  # undeclared, ASCII alone is declared


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("Müller^André", "iso-8859-1"), ("Größe 1,80 m", "iso-8859-1"), ("Müßig", "iso-8859-1"), ("Иванов", "iso-8859-5"),
        ("山田^太郎", "cp932"), ("홍^길동", "euc_kr"), ("張^三豐", "big5"), ("naïve 5 µg", "iso-8859-1"),
    ],
)  # fmt: skip
def test_what_is_rightly_declared_stays(text: str, codec: str) -> None:
    assert reading(text.encode(codec), codec) == (text, codec, False)


def test_undeclared_text() -> None:
    assert reading(b"ZHANG^SAN", None) == ("ZHANG^SAN", "ascii", False)
    assert reading("Müller".encode(), None).text == "Müller" and reading("Иван".encode(), None).text == "Иван"
    assert reading("Müller André".encode("latin-1"), None) == ("Müller André", "iso-8859-1", True)
    assert reading("联通".encode("gb18030"), None).text == "联通"  # the pair that old readers took for UTF-8


@pytest.mark.parametrize(
    "raw",
    [
        "诸葛孔明".encode(), "诸葛孔明".encode("gb18030"), b"\x1b$)A" + "诸葛孔明".encode("gb2312"), "诸葛孔明".encode("iso2022_jp_2"),
        "諸葛孔明".encode("big5"), "诸葛孔明".encode("hz"), b"\x1b$)A" + "诸葛".encode("gb2312") + b"\x1b(B\x1b$)A" + "孔明".encode("gb2312"),
        "诸葛孔明".encode() + b"\xc4", b"\xff" + "诸葛孔明".encode("gb18030"),
    ],
)  # fmt: skip
def test_every_plausible_decoding_is_tried(raw: bytes) -> None:
    assert any("诸葛孔明" in t or "諸葛孔明" in t for t in readings(raw))


def test_seven_bits_with_escapes_are_read_before_anything_is_split() -> None:
    written = "佐藤^由美蘭|".encode("iso2022_jp")
    assert reading(written, "iso2022_jp") == ("佐藤^由美蘭|", "iso2022_jp", False)
    assert reading(written, None)[:3:2] == ("佐藤^由美蘭|", True)


@pytest.mark.parametrize(("text", "codec"), [("Жуковский", "koi8_r"), ("Щербаков", "cp1251"), ("Παπαδόπουλος", "iso-8859-7")])
def test_a_set_of_one_byte_that_nobody_declared_is_one_of_the_readings(text: str, codec: str) -> None:
    content = ("A^" + text).encode(codec)
    assert "A^" + text in readings(content, every=True)


def test_what_was_coded_twice_is_read_as_it_was_meant() -> None:
    assert "박지영쌍" in coded_twice("박지영쌍".encode().decode("latin-1")) and coded_twice("Müller") == ()
    assert "박지영쌍" in readings("박지영쌍".encode().decode("latin-1").encode())


# names of patients as each language writes them, in the sets of one byte that hold them (HL7 table 0211, DICOM C.12.1.1.2)
NAMES = {
    ("iso-8859-6",): (
        "حسين^محمد عبدالله^فاطمة خالد^علي الهاشمي^نورة الأحمد^يوسف المصري^سارة حداد^مريم خوري^جورج الزهراني^سلطان القحطاني^هند "
        "الشمري^فهد العتيبي^ريم ناصر^ليلى سالم^عمر إبراهيم^آدم عثمان^هدى بكر^طارق صالح^رانيا منصور^كريم حمدان^دينا شاهين^مها "
        "قاسم^باسم درويش^سمير نجار^هالة يعقوب^إلياس عيسى^ماري زيدان^وليد غانم^سعاد فارس^نبيل راشد^أمل مراد^عادل جابر^نجلاء "
        "حمود^فؤاد سليمان^لطيفة عباس^ضياء كاظم^ظافر بدوي^ثريا شعبان^غادة الخطيب^رضوان التميمي^صفاء"
    ),
    ("iso-8859-8",): (
        "כהן^דוד לוי^שרה פרץ^יעל אברהמי^משה מזרחי^רחל ביטון^אבי פרידמן^רות אזולאי^מאיר שפירא^חנה דהן^שלמה אוחיון^מרים גבאי^יצחק "
        "חדד^אסתר עמר^יוסף בןדוד^לאה קליין^תמר וקנין^אלון סויסה^נועה רוזן^עמית ברק^שירה גולן^יונתן שחר^מיכל אלמוג^עידו הראל^ענת "
        "צור^גיל פלד^אורית כץ^זאב נחום^טליה סבג^רפאל אדרי^יפה מלכה^חיים זיו^נעמי קורן^דן שגב^איילת טל^ערן רז^הילה לביא^צבי "
        "מור^ורד ששון^עזרא יפת^סימה"
    ),
    ("iso-8859-7", "cp1253"): (
        "Παπαδόπουλος^Γεώργιος Νικολάου^Ελένη Ωμέγα^Ήβη Αλεξίου^Όλγα Οικονόμου^Ιωάννης Δημητρίου^Μαρία Κωνσταντίνου^Άννα "
        "Βασιλείου^Χρήστος Ιωαννίδης^Πέτρος Μακρής^Σοφία Ξενάκης^Ιάννης Θεοδωράκης^Μίκης Καζαντζάκης^Νίκος Ελύτης^Οδυσσέας "
        "Σεφέρης^Γιώργος Ρίτσος^Γιάννης Παππά^Ζωή Χατζής^Φώτης Ψαρρός^Λουκάς Λάμπρου^Ευαγγελία Γεωργίου^Αθηνά Αντωνίου^Ηλίας "
        "Σταύρου^Δέσποινα Καραγιάννης^Μιχάλης Μητσοτάκης^Θάνος Τσίπρας^Αλέξης Ζαχαρίας^Ίων Ράπτης^Έκτωρ ΠΑΠΑΔΟΠΟΥΛΟΥ^ΜΑΡΙΑ "
        "Λύρας^Ύακινθος Αποστόλου^Ρέα Βλάχος^Σπύρος Γκίκας^Τάσος Διαμαντής^Κλέα Ευθυμίου^Νεφέλη Ζέρβας^Ορέστης "
        "Καλογήρου^Φωτεινή Μπέης^Στέλιος Πανάς^Ίρις Σάββας^Λέων"
    ),
    ("iso-8859-5", "cp1251"): (
        "Иванов^Иван Петрова^Анна Сидоров^Пётр Юсупова^Юлия Щербаков^Илья Жуковский^Николай Кузнецов^Сергей Соколова^Елена "
        "Попов^Дмитрий Лебедева^Ольга Козлов^Андрей Новикова^Мария Морозов^Алексей Волкова^Наталья Зайцев^Павел Павлова^Ирина "
        "Семёнов^Артём Голубева^Татьяна Виноградов^Юрий Богданова^Светлана Воробьёв^Фёдор Фёдорова^Вера Михайлов^Егор "
        "Беляева^Нина Тарасов^Олег Белова^Дарья Комаров^Глеб Орлова^Яна Киселёв^Денис Макарова^Зоя ЯКОВЛЕВ^ВЯЧЕСЛАВ "
        "Эренбург^Эмма Цой^Виктор Хан^Лев Чехов^Антон Шишкин^Ян Ежова^Ева Ященко^Эдуард Дьячков^Лука Ким^Марк"
    ),
    ("tis-620",): (
        "สมชาย^ใจดี สมหญิง^รักไทย ประยุทธ์^จันทร์ สุดา^แก้ว วิชัย^ทองดี มาลี^ศรีสุข อนันต์^บุญมา กมล^พงษ์ไพบูลย์ นภา^สายชล "
        "ธนา^วงศ์ใหญ่ ปิยะ^เจริญสุข ศิริ^พูนผล อรุณ^มีทรัพย์ จินดา^ชัยชนะ ดวงใจ^สวัสดี พิมพ์^สุวรรณ เกียรติ^ภักดี ไพศาล^โชคดี "
        "รัตนา^นาคสุข เอก^พันธุ์ดี"
    ),
    ("iso-8859-1", "iso-8859-15"): (
        "Größl^Jörg Öäsund^Åsa Þórðarson^Æsa Ößner^Änne Créée^Noë Bjørnsæter^Åse Héé^Éé Köönen^Äijä Öhman^Åke Höök^Pär "
        "Yläräkkölä^Ää Ääri^Öö Sjöö^Märta Müüripeal^Tõnu Jõõras^Ülo Kääriäinen^Päivi Hyvärinen^Öö Õunapuu^Ülle Ýrá^Þór Ärö^Öäü "
        "Große^Änne Müller^Jürgen Weiß^Käthe GÖTZ^RÜDIGER Lefèvre^Zoé Muñoz^Íñigo Peña^José Gonçalves^João Conceição^Antónia "
        "Sørensen^Søren Åberg^Örjan Núñez^Ángel Béranger^Anaïs Garçon^Hélène Guðmundsdóttir^Þóra Jónsson^Ævar Ibáñez^Óscar "
        "Straßer^Özlem D'Été^Rémi"
    ),
    ("iso-8859-2", "cp1250"): (
        "Żółć^Łącz Říha^Žáček Őrségi^Ősz Žížala^Šárka Świętosława^Żółkiewska Tűhűű^Őő Čáp^Šíř Wałęsa^Lech Kowalski^Stanisław "
        "Wójcik^Małgorzata Dąbrowski^Paweł Zieliński^Łukasz Wiśniewska^Bożena Jabłoński^Zdzisław Dvořák^Antonín Novák^Jiří "
        "Svobodová^Zdeňka Procházka^Tomáš Kučera^Luboš Černý^Ondřej Růžička^Matěj Šťastný^Vít Nagy^László Kovács^Győző "
        "Szűcs^Erzsébet Tóth^Kálmán Horváth^Ágnes Čeh^Žiga Đorđević^Siniša Šimić^Željko Petrović^Anđela Ionescu^Ştefan "
        "Popa^Ţugulea Kráľ^Ľubomír Ďurica^Ján Łoś^Ćwir Pająk^Jędrzej Gąsior^Ślązak NOVÁK^JIŘÍ Çelik^Émile"
    ),
    ("iso-8859-9", "cp1254"): (
        "Özgüç^Çağrı Öğüş^Şükrü Işık^Ağaoğlu Yılmaz^İbrahim Çelik^Gül Şahin^Ayşe Doğan^Tuğba Öztürk^Gökçe Aydın^Çiğdem "
        "Kılıç^Uğur Arslan^Ömer Güneş^Işıl Erdoğan^Şeyma Koç^Büşra Bağcı^İlknur ÖZTÜRK^ŞÜKRÜ Çağlar^Ümit Ünlü^Beyza "
        "Karataş^Eşref Gürbüz^İpek"
    ),
    ("iso-8859-4", "iso-8859-13"): (
        "Ķēniņš^Jānis Šķēle^Andris Bērziņš^Ēriks Kalniņa^Līga Ozoliņš^Māris Liepiņa^Žanna Vītols^Ģirts Jansons^Ņikita "
        "Petraitis^Rūta Žukauskas^Šarūnas Kazlauskaitė^Eglė Stankevičius^Jūratė Vaičiūnas^Ąžuolas Čiurlionis^Mikalojus"
    ),
    ("iso-8859-3",): ("Ġużè^Żaħra Żammit^Ċensu Għarb^Ħalima Zaħra^Ġorġ Ċauchi^Nażju"),
    ("iso-8859-10",): ("Þorsteinsdóttir^Ásdís Čáhppe^Áilu Ŋuolla^Máret"),
}
CHINESE = (
    "王^芳 张^敏 李^伟 刘^洋 陈^静 杨^丽 赵^强 黄^磊 周^军 吴^勇 徐^艳 孙^杰 马^涛 朱^明 胡^超 郭^霞 何^平 高^刚 林^桂英 "
    "罗^玉兰 郑^秀英 梁^建华 谢^志强 宋^海燕 唐^小红 许^文 韩^雪 冯^春梅 邓^丹 曹^鹏 彭^浩 曾^凡 肖^红 田^亮 董^洁 袁^泉 "
    "潘^安 于^谦 蒋^欣 蔡^琴 余^华 杜^鹃 叶^青 程^颖 苏^轼 魏^征 吕^布 丁^香 任^静 沈^腾 姚^明 卢^俊义 姜^维 崔^健 钟^馗 "
    "谭^咏麟 陆^游 汪^峰 范^冰冰 金^庸 石^磊 廖^凡 贾^玲 夏^雨 韦^小宝 付^笛声 方^舟 白^居易 邹^市明 孟^非 熊^大 秦^岚 "
    "邱^淑贞 江^涛 尹^相杰 薛^之谦 闫^妮 段^奕宏 雷^佳音 侯^勇 龙^飞 史^记 陶^喆 黎^明 贺^龙 顾^长卫 毛^宁 郝^海东 龚^自珍 "
    "邵^逸夫 万^科 钱^学森 严^复 覃^辉 武^松 戴^玉强 莫^言 孔^明 向^佐 汤^唯 欧阳^娜娜 司马^光 诸葛^孔明 朱^镕基 张^玥 王^堃 "
    "李^祎"
)
TEXTS = "全身骨显像 PET显像 PET/CT显像(FDG) 骨ECT 甲状腺SPECT检查 Tc骨显像 ZHANG^SAN=张^三 T淋巴瘤 HER2阳性 B超示结节 左室EF减低 X光 痛"


@pytest.mark.parametrize(("codec", "name"), [(c, n) for codecs, names in NAMES.items() for c in codecs for n in names.split()])
def test_a_declared_set_holds_where_it_makes_words_of_its_script(codec: str, name: str) -> None:
    for text in (name, f"PID|1||P1||{name}||19600101|M"):
        found = reading(text.encode(codec), codec)
        assert found[:2] == (text, codec)
        assert not found.doubtful or name in ("خوري^جورج", "สมหญิง^รักไทย")  # their bytes are common Chinese too


@pytest.mark.parametrize("declared", ["iso-8859-1", "iso-8859-15", "cp1252", "iso-8859-9"])
@pytest.mark.parametrize("text", [*CHINESE.split(), *TEXTS.split()])
def test_chinese_wins_over_a_set_that_makes_no_words_of_it(text: str, declared: str) -> None:
    for whole in (text, f"PID|1||P1||{text}||19600101|M"):
        assert reading(whole.encode("gb18030"), declared) == (whole, "gb18030", True)


@pytest.mark.parametrize("declared", ["iso-8859-5", "iso-8859-7"])
def test_a_set_that_makes_words_of_common_chinese_does_not_hold(declared: str) -> None:
    names = [
        n
        for n in CHINESE.split()
        if n != "李^祎" and all(ord("一") <= ord(c) and 0xB0 <= c.encode("gb18030")[0] <= 0xD7 for c in n if c != "^")
    ]
    read = [reading(n.encode("gb18030"), declared) for n in names]
    assert len(names) > 80 and [n for n, r in zip(names, read, strict=True) if r != (n, "gb18030", True)] == []
