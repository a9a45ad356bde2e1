//! Folders in many languages, asked in these by callers' own words; and what in these languages asks for nothing.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use antiphon_agent::ProviderError;
use antiphon_agent::provider::{BoxFuture, EmbedPurpose, Embedder, Knowledge, ProviderInfo, Query};
use antiphon_knowledge::KnowledgeBase;
use antiphon_knowledge::embed::{Foreign, embed};

/// A house in one language: passages with their headings, questions with the heading of the passage that must stand first, and what finds
/// nothing: small talk and questions about something else.
struct House {
    language: &'static str,
    text: &'static str,
    questions: &'static [(&'static str, &'static str)],
    nothing: &'static [&'static str],
}

const HOUSES: &[House] = &[
    House {
        language: "zh",
        text: "# 营业时间\n我们周二至周日上午十点到晚上九点营业，周一休息。\n# 停车\n停车场在楼后面，前两小时免费。\n# 付款\n可以刷信用卡，也接受现金和微信支付。\n\
            # 宠物\n小型犬可以进入花园座位区，请牵好绳子。\n# 取消预订\n请最迟提前一天取消，否则收取每人一百元。\n# 过敏\n所有菜品的过敏原清单在前台。\n# 儿童\n\
            六岁以下的孩子免费，我们提供婴儿椅。\n# 无障碍\n入口有坡道，电梯可到二楼。",
        questions: &[
            ("请问你们几点开门？", "营业时间"),
            ("周一营业吗", "营业时间"),
            ("哪里可以停车？", "停车"),
            ("我开车来，有车位吗", "停车"),
            ("能用信用卡吗", "付款"),
            ("可以带狗吗？", "宠物"),
            ("我想取消预订，要收钱吗", "取消预订"),
            ("我对花生过敏", "过敏"),
            ("小孩要不要买票", "儿童"),
            ("我妈妈坐轮椅，进得去吗", "无障碍"),
        ],
        nothing: &[
            "你好",
            "谢谢，再见",
            "好的，没问题",
            "今天天气怎么样？",
            "给我讲个笑话",
            "谁赢了世界杯？",
            "你是机器人吗",
        ],
    },
    House {
        language: "ja",
        text: "# 営業時間\n午前11時から午後9時まで営業しております。定休日は月曜日です。\n# 駐車場\n店の裏に十台分の駐車場がございます。\n# お支払い\n\
            現金、クレジットカード、電子マネーをご利用いただけます。\n# ペット\nテラス席に限り、小型犬をお連れいただけます。\n# キャンセル\n前日までにご連絡ください。\
            当日の取り消しは料金の半額を頂戴します。\n# アレルギー\n小麦、卵、乳製品の表示はメニューにございます。\n# お子様\n小学生以下のお子様には専用のメニューがあります。\n\
            # 車椅子\n入口に段差はなく、エレベーターで二階へ上がれます。",
        questions: &[
            ("何時まで開いていますか？", "営業時間"),
            ("月曜日はやっていますか", "営業時間"),
            ("車はどこに停められますか？", "駐車場"),
            ("カードで払えますか", "お支払い"),
            ("犬を連れて行ってもいいですか", "ペット"),
            (
                "予約を取り消したいのですが、お金はかかりますか",
                "キャンセル",
            ),
            ("小麦アレルギーなんですが", "アレルギー"),
            ("子供用のメニューはありますか", "お子様"),
            ("母が車椅子なのですが大丈夫でしょうか", "車椅子"),
        ],
        nothing: &[
            "こんにちは",
            "ありがとうございます",
            "はい、お願いします",
            "そうですね",
            "今日の天気はどうですか",
            "冗談を言ってください",
            "サッカーの試合は誰が勝ちましたか",
        ],
    },
    House {
        language: "ko",
        text: "# 영업 시간\n화요일부터 일요일까지 오전 11시에서 오후 9시까지 영업합니다. 월요일은 휴무입니다.\n# 주차\n건물 뒤에 무료 주차장이 있습니다.\n# 결제\n\
            신용카드와 현금 모두 가능합니다.\n# 반려동물\n테라스에는 작은 강아지를 데려오실 수 있습니다.\n# 예약 취소\n하루 전까지 취소하지 않으시면 위약금이 있습니다.\n\
            # 알레르기\n땅콩이나 밀가루가 들어간 음식은 메뉴에 표시되어 있습니다.\n# 어린이\n여섯 살 미만은 무료이고 아기 의자가 있습니다.\n# 휠체어\n입구에 경사로가 있고 엘리베이터가 있습니다.",
        questions: &[
            ("몇 시에 문을 여나요? 영업 시간이 궁금해요", "영업 시간"),
            ("월요일에도 영업하세요?", "영업 시간"),
            ("주차할 수 있나요?", "주차"),
            ("카드로 계산해도 되나요", "결제"),
            ("강아지를 데려가도 될까요?", "반려동물"),
            ("예약을 취소하고 싶어요", "예약 취소"),
            ("땅콩 알레르기가 있어요", "알레르기"),
            ("아기 의자 있어요?", "어린이"),
            ("어머니가 휠체어를 타시는데 괜찮을까요", "휠체어"),
        ],
        nothing: &[
            "안녕하세요",
            "감사합니다, 안녕히 계세요",
            "네, 좋습니다",
            "알겠습니다",
            "오늘 날씨가 어때요?",
            "농담 하나 해 주세요",
        ],
    },
    House {
        language: "th",
        text: "# เวลาทำการ\nร้านเปิดวันอังคารถึงวันอาทิตย์ เวลาสิบโมงเช้าถึงสามทุ่ม ปิดวันจันทร์\n# ที่จอดรถ\nมีที่จอดรถฟรีด้านหลังอาคาร\n# การชำระเงิน\nรับบัตรเครดิตและเงินสด\n\
            # สัตว์เลี้ยง\nสุนัขตัวเล็กเข้าได้เฉพาะระเบียง\n# ยกเลิกการจอง\nกรุณายกเลิกล่วงหน้าหนึ่งวัน\n# รถเข็น\nทางเข้ามีทางลาดและมีลิฟต์",
        questions: &[
            ("ร้านเปิดกี่โมงครับ", "เวลาทำการ"),
            ("มีที่จอดรถไหมคะ", "ที่จอดรถ"),
            ("จ่ายด้วยบัตรเครดิตได้ไหม", "การชำระเงิน"),
            ("พาสุนัขไปได้ไหม", "สัตว์เลี้ยง"),
            ("ขอยกเลิกการจองได้ไหมคะ", "ยกเลิกการจอง"),
        ],
        nothing: &["สวัสดีครับ", "ขอบคุณค่ะ", "ใช่ค่ะ"],
    },
    House {
        language: "ru",
        text: "# Часы работы\nМы открыты со вторника по воскресенье с одиннадцати до двадцати двух часов. В понедельник выходной.\n# Парковка\nБесплатная стоянка находится за домом.\n\
            # Оплата\nПринимаем банковские карты и наличные.\n# Животные\nНебольшие собаки могут быть на террасе.\n# Отмена бронирования\nОтменить бронь можно не позднее чем за сутки, \
            иначе мы возьмём тысячу рублей.\n# Аллергия\nСписок аллергенов лежит у администратора.\n# Дети\nДля детей есть отдельное меню и высокие стулья.\n# Доступность\n\
            У входа есть пандус, на второй этаж ведёт лифт.",
        questions: &[
            ("До скольки вы работаете?", "Часы работы"),
            ("Вы открыты в среду?", "Часы работы"),
            ("Где можно припарковать машину?", "Парковка"),
            ("Можно заплатить картой?", "Оплата"),
            ("Можно прийти с собакой?", "Животные"),
            ("Мне нужно отменить столик", "Отмена"),
            ("У меня аллергия на орехи", "Аллергия"),
            ("Есть что-нибудь для ребёнка?", "Дети"),
            ("Моя мама в инвалидной коляске", "Доступность"),
        ],
        nothing: &[
            "Здравствуйте!",
            "Спасибо, до свидания.",
            "Да, хорошо.",
            "Какая сегодня погода в Париже?",
            "Расскажите анекдот",
            "Кто выиграл матч?",
        ],
    },
    House {
        language: "tr",
        text: "# Çalışma saatleri\nSalıdan pazara kadar saat 11'den 22'ye kadar açığız. Pazartesi kapalıyız.\n# Otopark\nBinanın arkasında ücretsiz otopark vardır.\n# Ödeme\n\
            Kredi kartı ve nakit kabul ediyoruz.\n# Evcil hayvanlar\nKüçük köpekler terasa girebilir.\n# Rezervasyon iptali\nLütfen bir gün önceden haber verin, yoksa ücret alınır.\n\
            # Alerjiler\nFıstık ve gluten içeren yemekler menüde işaretlidir.\n# Çocuklar\nÇocuklar için ayrı bir menü var.\n# Engelli erişimi\nGirişte rampa, içeride asansör bulunur.",
        questions: &[
            ("Kaça kadar açıksınız?", "Çalışma saatleri"),
            ("Çarşamba günü açık mısınız?", "Çalışma saatleri"),
            ("Arabamı nereye park edebilirim?", "Otopark"),
            ("Kartla ödeyebilir miyim?", "Ödeme"),
            ("Köpeğimi getirebilir miyim?", "Evcil hayvanlar"),
            ("Rezervasyonumu iptal etmek istiyorum", "Rezervasyon iptali"),
            ("Fıstığa alerjim var", "Alerjiler"),
            ("Çocuklar için bir şey var mı?", "Çocuklar"),
            ("Annem tekerlekli sandalyede", "Engelli erişimi"),
        ],
        nothing: &[
            "Merhaba",
            "Teşekkür ederim, iyi günler",
            "Evet, tamam",
            "Bugün hava nasıl?",
            "Bana bir fıkra anlat",
        ],
    },
    House {
        language: "el",
        text: "# Ωράριο\nΕίμαστε ανοιχτά από Τρίτη έως Κυριακή, έντεκα το πρωί με δέκα το βράδυ. Τη Δευτέρα είμαστε κλειστά.\n# Πάρκινγκ\nΥπάρχει δωρεάν χώρος στάθμευσης πίσω από το κτίριο.\n\
            # Πληρωμή\nΔεχόμαστε πιστωτικές κάρτες και μετρητά.\n# Κατοικίδια\nΜικρά σκυλιά επιτρέπονται στη βεράντα.\n# Ακύρωση\nΠαρακαλούμε ακυρώστε την κράτηση μία μέρα πριν.\n\
            # Αλλεργίες\nΟ κατάλογος γράφει ποια πιάτα έχουν ξηρούς καρπούς.\n# Πρόσβαση\nΣτην είσοδο υπάρχει ράμπα και ασανσέρ για αναπηρικά αμαξίδια.",
        questions: &[
            ("Μέχρι τι ώρα είστε ανοιχτά;", "Ωράριο"),
            ("Είστε ανοιχτά την Τετάρτη;", "Ωράριο"),
            ("Πού μπορώ να παρκάρω;", "Πάρκινγκ"),
            ("Μπορώ να πληρώσω με κάρτα;", "Πληρωμή"),
            ("Μπορώ να φέρω τον σκύλο μου;", "Κατοικίδια"),
            ("Θέλω να ακυρώσω την κράτησή μου", "Ακύρωση"),
            ("Η μητέρα μου είναι σε αναπηρικό αμαξίδιο", "Πρόσβαση"),
        ],
        nothing: &[
            "Γεια σας",
            "Ευχαριστώ, αντίο",
            "Ναι, εντάξει",
            "Πες μου ένα ανέκδοτο",
        ],
    },
    House {
        language: "ar",
        text: "# ساعات العمل\nنفتح من الثلاثاء إلى الأحد من الحادية عشرة صباحا حتى العاشرة مساء، ونغلق يوم الاثنين.\n# المواقف\nتوجد مواقف مجانية للسيارات خلف المبنى.\n# الدفع\n\
            نقبل بطاقات الائتمان والنقد.\n# الحيوانات الأليفة\nيسمح بدخول الكلاب الصغيرة إلى الشرفة.\n# إلغاء الحجز\nيرجى إلغاء الحجز قبل يوم واحد.\n# الحساسية\n\
            تحتوي بعض الأطباق على المكسرات والفول السوداني.\n# الأطفال\nلدينا قائمة خاصة للأطفال وكراسي مرتفعة.\n# الكراسي المتحركة\nيوجد منحدر عند المدخل ومصعد.",
        questions: &[
            ("متى تفتحون؟", "ساعات العمل"),
            ("هل أنتم مفتوحون يوم الأربعاء؟", "ساعات العمل"),
            ("أين يمكنني أن أركن السيارة؟", "المواقف"),
            ("هل يمكنني الدفع بالبطاقة؟", "الدفع"),
            ("هل يمكنني إحضار كلبي؟", "الحيوانات الأليفة"),
            ("أريد إلغاء حجزي", "إلغاء الحجز"),
            ("عندي حساسية من المكسرات", "الحساسية"),
            ("هل لديكم قائمة للأطفال؟", "الأطفال"),
        ],
        nothing: &["مرحبا", "شكرا، مع السلامة", "نعم، حسنا", "احك لي نكتة"],
    },
    House {
        language: "de",
        text: "# Sprechzeiten\nMontag bis Freitag von acht bis zwölf Uhr, am Nachmittag nach Vereinbarung.\n# Anfahrt\nStellplätze gibt es im Hof, die U2 hält vor dem Haus.\n\
            # Rezepte\nFolgerezepte werden telefonisch bestellt und am nächsten Tag abgeholt.\n# Impfungen\nGrippeimpfungen gibt es ab Oktober ohne Termin.\n# Kosten\n\
            Atteste kosten zehn Euro.\n# Aufzug\nDie Praxis ist im zweiten Stock, ein Aufzug ist vorhanden.",
        questions: &[
            ("Wann habt ihr auf?", "Sprechzeiten"),
            ("Wo kann ich parken?", "Anfahrt"),
            ("Ich brauche ein neues Rezept", "Rezepte"),
            ("Kann ich mich gegen Grippe impfen lassen?", "Impfungen"),
            ("Gibt es einen Lift?", "Aufzug"),
        ],
        nothing: &[
            "Hallo, guten Tag!",
            "Ja, bitte.",
            "Vielen Dank, auf Wiederhören",
        ],
    },
    House {
        language: "pl",
        text: "# Godziny otwarcia\nJesteśmy otwarci od wtorku do niedzieli od jedenastej do dwudziestej drugiej. W poniedziałek nieczynne.\n# Parking\nBezpłatne miejsca parkingowe są za budynkiem.\n\
            # Płatność\nPrzyjmujemy karty i gotówkę.\n# Zwierzęta\nMałe psy są mile widziane na tarasie.\n# Odwołanie rezerwacji\nProsimy odwołać rezerwację dzień wcześniej.\n\
            # Dostępność\nPrzy wejściu jest podjazd dla wózków, w środku winda.",
        questions: &[
            ("O której otwieracie?", "Godziny otwarcia"),
            ("Gdzie mogę zaparkować samochód?", "Parking"),
            ("Czy mogę zapłacić kartą?", "Płatność"),
            ("Czy mogę przyjść z psem?", "Zwierzęta"),
            ("Chciałbym odwołać rezerwację", "Odwołanie"),
            ("Moja mama jest na wózku", "Dostępność"),
        ],
        nothing: &["Dzień dobry", "Dziękuję, do widzenia", "Tak, dobrze"],
    },
];

fn document(house: &House) -> (String, String) {
    (format!("{}.md", house.language), house.text.to_owned())
}

/// What is missed in this base, in words.
fn missed(base: &KnowledgeBase, house: &House) -> Vec<String> {
    let mut missed = Vec::new();
    for (question, heading) in house.questions {
        let found = base.find(question);
        let source = found.first().map_or("", |passage| passage.source.as_str());
        if !(source.starts_with(house.language) && source.contains(heading)) {
            missed.push(format!(
                "{}: {question} → {:?}, not {heading}",
                house.language,
                found
                    .iter()
                    .map(|passage| &passage.source)
                    .collect::<Vec<_>>()
            ));
        }
    }
    for words in house.nothing {
        let found = base.find(words);
        if let Some(passage) = found.first() {
            missed.push(format!(
                "{}: {words} → {}, not nothing",
                house.language, passage.source
            ));
        }
    }
    missed
}

#[test]
fn a_folder_in_one_language_is_asked_in_it() {
    let missed: Vec<String> = HOUSES
        .iter()
        .flat_map(|house| missed(&KnowledgeBase::from_markdown([document(house)]), house))
        .collect();
    assert!(missed.is_empty(), "{}: {missed:#?}", missed.len());
}

#[test]
fn a_folder_in_many_languages_is_asked_in_each() {
    let base = KnowledgeBase::from_markdown(HOUSES.iter().map(document));
    let missed: Vec<String> = HOUSES
        .iter()
        .flat_map(|house| missed(&base, house))
        .collect();
    assert!(missed.is_empty(), "{}: {missed:#?}", missed.len());
}

#[test]
fn wide_letters_and_narrow_ones_are_the_same() {
    let base = KnowledgeBase::from_markdown([
        (
            "a.md".to_owned(),
            "# ＷｉＦｉ\nパスワードは受付にあります。\n# 駐車\n裏にあります。".to_owned(),
        ),
        (
            "b.md".to_owned(),
            "# 朝食\n七時からです。\n# 温泉\n地下です。\n# 部屋\n和室です。".to_owned(),
        ),
    ]);
    for question in ["WiFiはありますか", "ﾊﾟｽﾜｰﾄﾞを教えて"] {
        let found = base.find(question);
        assert_eq!(
            found.first().unwrap().source,
            "a.md › ＷｉＦｉ",
            "{question}"
        );
    }
}

#[test]
fn sentences_end_where_their_script_ends_them() {
    let text = "営業は九時からです。駐車場は裏です！予約は要りますか？はい。".repeat(40);
    for chunk in antiphon_knowledge::chunk::plain("a.txt", &text) {
        assert!(chunk.text.ends_with(['。', '！', '？']), "{}", chunk.text);
    }
}

/// A model of English: to it, texts in other scripts are all the same.
struct English;

impl Embedder for English {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "test",
            model: "english".into(),
        }
    }

    fn dimensions(&self) -> Option<usize> {
        Some(2)
    }

    fn language(&self) -> Option<&'static str> {
        Some("en")
    }

    fn embed(
        &self,
        texts: Vec<String>,
        _: EmbedPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, ProviderError>> {
        let vector = |text: String| {
            if text.is_ascii() {
                vec![0.0, 1.0]
            } else {
                vec![1.0, 0.0]
            }
        };
        let vectors = texts.into_iter().map(vector).collect();
        Box::pin(async move { Ok(vectors) })
    }
}

#[tokio::test]
async fn a_model_of_english_spoils_no_other_language() {
    for house in HOUSES.iter().filter(|house| house.language != "de") {
        let base = KnowledgeBase::from_markdown([document(house)]);
        let (question, heading) = house.questions.first().unwrap();
        embed(&base, Arc::new(English), Foreign::Replaced, None, |_, _| {})
            .await
            .unwrap();
        let found = base.search((*question).into()).await;
        let source = &found.passages.first().unwrap().source;
        assert!(source.contains(heading), "{question}: {source}");
        for words in house.nothing {
            assert_eq!(base.search((*words).into()).await.passages, [], "{words}");
        }
    }
}

#[tokio::test]
async fn a_question_about_something_else_does_not_find_what_was_asked_before_it() {
    for house in HOUSES {
        let base = KnowledgeBase::from_markdown([document(house)]);
        let (before, _) = house.questions.first().unwrap();
        // a question of few words goes on with the one before it when it finds nothing alone
        let is_long = |words: &&&str| {
            let parts = words.split_whitespace().count();
            parts > 4 || parts == 1 && words.chars().count() > 9
        };
        for words in house.nothing.iter().filter(is_long) {
            let query = Query {
                before: vec![(*before).to_owned()],
                ..Query::new(*words)
            };
            assert_eq!(base.search(query).await.passages, [], "{words}");
        }
    }
}
