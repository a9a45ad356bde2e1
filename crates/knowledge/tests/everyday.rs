//! Everyday questions about the restaurant of the example, in words that its documents do not use; and what asks for nothing.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use antiphon_chat::Passage;
use antiphon_knowledge::KnowledgeBase;

fn restaurant() -> KnowledgeBase {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/restaurant/knowledge");
    KnowledgeBase::load(&folder, None).unwrap().base
}

/// A question, and a file and heading of which one must be among the first three.
const QUESTIONS: &[(&str, &[&str])] = &[
    ("What time do you open?", &["Lunch", "Dinner"]),
    ("What time do you close?", &["Dinner"]),
    ("When are you open?", &["Lunch", "Dinner"]),
    (
        "Are you open tomorrow?",
        &["Lunch", "Dinner", "Closed days"],
    ),
    ("Are you open on Mondays?", &["Closed days"]),
    ("are you guys closed on christmas", &["Closed days"]),
    ("Do you shut on any day of the week?", &["Closed days"]),
    ("how late can I come for supper", &["Dinner"]),
    ("until what time is the kitchen open", &["Dinner"]),
    (
        "Can we have lunch at your place on Sunday?",
        &["Opening hours › Lunch"],
    ),
    ("What are your opening hours?", &["Opening hours"]),
    ("Where are you located?", &["Where we are"]),
    ("What's your address?", &["Where we are"]),
    ("How do I get there?", &["Where we are"]),
    ("Which street are you in?", &["Where we are"]),
    ("Can I come by bus or tram?", &["Where we are"]),
    ("Where can I park?", &["Where we are"]),
    ("is there somewhere to leave my car", &["Where we are"]),
    (
        "Do you have vegan dishes?",
        &["Main courses", "Starters", "Dairy", "Desserts"],
    ),
    (
        "what can a vegetarian eat at your place",
        &["Main courses", "Starters"],
    ),
    ("I'm allergic to nuts, is that a problem?", &["Nuts"]),
    (
        "Are there hazelnuts in the risotto?",
        &["Nuts", "Main courses"],
    ),
    ("My wife is coeliac, what can she eat?", &["Gluten"]),
    ("Do you have anything without gluten?", &["Gluten"]),
    ("I can't have lactose", &["Dairy"]),
    ("Which dishes contain milk?", &["Dairy"]),
    ("do you serve seafood", &["Fish and shellfish"]),
    ("Do you have shrimp?", &["Fish and shellfish"]),
    ("are there eggs in the pasta", &["Eggs"]),
    ("How much is the lamb?", &["Main courses"]),
    ("What does the sea bass cost?", &["Main courses"]),
    ("What desserts do you have?", &["Desserts"]),
    ("what do you have for pudding", &["Desserts"]),
    ("Which appetizers do you offer?", &["Starters"]),
    ("Do you have a soup?", &["Starters"]),
    ("Is there something for the kids?", &["Children"]),
    ("how much is a glass of red wine", &["Wine"]),
    ("May I bring my own bottle?", &["Wine"]),
    ("Can I bring my puppy?", &["Dogs"]),
    ("are pets allowed", &["Dogs"]),
    ("Can we sit outside?", &["Terrace"]),
    ("Do you have a garden or a patio?", &["Terrace"]),
    ("Is it accessible for the disabled?", &["Wheelchair access"]),
    ("my mother uses a wheelchair", &["Wheelchair access"]),
    ("where is the restroom", &["Wheelchair access"]),
    ("Do you take credit cards?", &["Paying"]),
    ("Can I pay cash?", &["Paying"]),
    ("can i leave a gratuity with the card", &["Paying"]),
    ("We are running a bit late", &["Being late"]),
    ("How do I cancel my reservation?", &["Cancelling a booking"]),
    (
        "What happens if I don't show up for the booking, is there a charge?",
        &["Cancelling a booking"],
    ),
    ("we would be a group of twelve", &["Large parties"]),
    ("How many people can you seat?", &["Large parties"]),
    ("do we have to pay a deposit", &["Large parties", "Paying"]),
    ("It's my husband's birthday", &["Birthdays"]),
    ("can we bring our own cake", &["Birthdays"]),
    (
        "Hi, good evening, I was wondering whether you have any vegetarian main courses",
        &["Main courses"],
    ),
    ("And on Sundays?", &["Opening hours"]),
];

/// What people say that is no question to documents.
const SMALL_TALK: &[&str] = &[
    "hello",
    "Hello, how are you?",
    "Hi there!",
    "Good morning.",
    "Good evening, can you hear me?",
    "Yes.",
    "No, thank you.",
    "Yes please, that sounds good.",
    "Okay, great.",
    "Thank you very much, have a nice evening!",
    "Have a lovely day, bye!",
    "Goodbye.",
    "Sorry, could you repeat that?",
    "What did you say?",
    "One moment, please.",
    "Hold on a second.",
    "My name is Kim Larsen.",
    "For two people, please.",
    "Four of us, tomorrow at seven.",
    "At half past seven.",
    "No, that's all.",
    "That's right.",
    "I don't know yet.",
    "Let me think about it.",
    "I'm not sure.",
    "Are you a robot?",
    "What time is it?",
    "Um, well, you know...",
    "It's zero one seven one, two three four.",
    "See you on Sunday!",
    "Could you help me?",
    "I have a question.",
    "What can you do?",
    "Never mind.",
    "Who are you?",
    "Are you still there?",
    "Just a minute",
    "That would be perfect",
    "No, nothing else",
    "You too",
    "mhm",
    "?!",
    "",
];

/// Questions about something else: where there is a choice of passages, none fits.
const OFF_TOPIC: &[&str] = &[
    "Tell me a joke.",
    "What's the weather like in Paris?",
    "Who won the war of the roses?",
    "Can I talk to a real person?",
];

fn sources(passages: &[Passage]) -> Vec<&str> {
    passages
        .iter()
        .map(|passage| passage.source.as_str())
        .collect()
}

#[test]
fn everyday_questions_find_what_answers_them() {
    let base = restaurant();
    let mut missed = Vec::new();
    for (question, headings) in QUESTIONS {
        let found = base.find(question);
        let first: Vec<_> = sources(&found).into_iter().take(3).collect();
        if !first
            .iter()
            .any(|source| headings.iter().any(|heading| source.contains(heading)))
        {
            missed.push((question, headings, first.join(" | ")));
        }
    }
    assert!(
        missed.is_empty(),
        "{} of {}: {missed:#?}",
        missed.len(),
        QUESTIONS.len()
    );
}

#[test]
fn small_talk_finds_nothing() {
    let base = restaurant();
    let found: Vec<_> = SMALL_TALK
        .iter()
        .chain(OFF_TOPIC)
        .map(|words| (words, base.find(words)))
        .filter(|(_, passages)| !passages.is_empty())
        .map(|(words, passages)| (words, sources(&passages).join(" | ")))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_base_that_may_be_given_whole_is_given_to_whoever_asks() {
    let text = "Salon Bella, 12 Mill Lane, Bath. We are open Tuesday to Saturday from 9 am to 6 pm. No walk-ins on Saturdays.";
    let base =
        |text: &str| KnowledgeBase::from_markdown([("salon.md".to_owned(), text.to_owned())]);
    let salon = base(text);
    for question in [
        "Where are you located?",
        "Can I just drop in?",
        "How do I call off my appointment?",
        "What's your address?",
        "is there a car park",
        "when is it",
    ] {
        assert_eq!(salon.find(question).len(), 1, "{question}");
    }
    for words in SMALL_TALK {
        assert_eq!(salon.find(words), [], "{words}");
    }
    let surgery = base(
        "Die Praxis ist montags bis freitags von 8 bis 17 Uhr geöffnet. Bitte bringen Sie Ihre Versichertenkarte mit.",
    );
    for question in [
        "Wann haben Sie auf?",
        "Wann machen Sie zu?",
        "Was muss ich mitbringen?",
        "Wo kann ich parken?",
    ] {
        assert_eq!(surgery.find(question).len(), 1, "{question}");
    }
    let chinese = base("我们的营业时间是周二至周日上午十点到晚上九点。停车场在楼后面。");
    for question in ["几点开门？", "你们周一开吗？", "什么时候关门", "有车位吗"]
    {
        assert_eq!(chinese.find(question).len(), 1, "{question}");
    }
}

#[test]
fn other_words_forms_and_slips_find_the_passage() {
    let base = restaurant();
    let mut missed = Vec::new();
    for (question, heading) in [
        ("Do you do anything for celiacs?", "Gluten"),
        ("Do you take American Express?", "Paying"),
        ("Can I use Apple Pay?", "Paying"),
        ("There will be ten of us", "Large parties"),
        ("We are twelve people", "Large parties"),
        ("How do I reach you?", "Where we are"),
        ("Can I change my reservation?", "Cancelling"),
        ("I need to call off our table", "Cancelling"),
        ("Can I move my booking to Friday?", "Cancelling"),
        ("We are running ten minutes behind", "Being late"),
        ("what's the latest I can arrive", "Dinner"),
        ("when can I get food", "Dinner"),
        ("Do you serve beer?", "Wine"),
        ("Can somebody with a stroller get in?", "Wheelchair"),
        ("Is there an elevator?", "Wheelchair"),
        ("My son is allergic to milk", "Dairy"),
        ("Do you have wheelchiar access", "Wheelchair"),
        ("is there a corkige fee", "Wine"),
        ("whats the adress", "Where we are"),
        ("can I cansel my bookng", "Cancelling"),
        ("Can I swap my reservation to Saturday", "Cancelling"),
    ] {
        let found = base.find(question);
        if !sources(&found)
            .iter()
            .any(|source| source.contains(heading))
        {
            missed.push((question, sources(&found).join(" | ")));
        }
    }
    assert!(missed.is_empty(), "{}: {missed:#?}", missed.len());
}

/// Sentences about other things: as many as a large company's handbook has.
fn crowd(count: usize) -> impl Iterator<Item = (String, String)> {
    let words = [
        "engine", "valve", "report", "ledger", "forest", "signal", "harbour", "carbon", "lesson",
        "theatre", "granite", "copper", "window", "river", "planet", "market",
    ];
    (0..count).map(move |number| {
        let word = |at: usize| {
            words
                .get((number / (at * 7 + 1) + at) % words.len())
                .unwrap()
        };
        let text = format!(
            "The {} of section {number} has a {} near the {}, say people who hear good things.",
            word(1),
            word(2),
            word(3)
        );
        (format!("{number}.md"), text)
    })
}

#[test]
fn the_same_is_found_and_left_out_among_many_passages() {
    let salon = (
        "salon.md".to_owned(),
        "The salon has free parking behind the house. A haircut costs 35 euros.".to_owned(),
    );
    for count in [1, 10, 1_000, 20_000] {
        let base = KnowledgeBase::from_markdown(crowd(count).chain([salon.clone()]));
        for question in ["Where can I park?", "How much is a haircut?"] {
            let found = base.find(question);
            assert_eq!(
                sources(&found).first(),
                Some(&"salon.md"),
                "{count}: {question}"
            );
        }
        for words in SMALL_TALK
            .iter()
            .chain(OFF_TOPIC.iter().filter(|_| count >= 10))
        {
            assert_eq!(base.find(words), [], "{count}: {words}");
        }
    }
}

#[test]
fn documents_in_other_languages_are_found_too() {
    let base = |text: &str| KnowledgeBase::from_markdown([("a.md".to_owned(), text.to_owned())]);
    let german = base(
        "# Anfahrt\nParkplätze gibt es hinter dem Haus, das Parken ist für unsere Gäste kostenlos.\n# Zeiten\nWir haben montags geschlossen und öffnen sonst um zehn Uhr.",
    );
    for (question, heading) in [
        ("Gibt es bei Ihnen einen Parkplatz?", "a.md › Anfahrt"),
        ("Wann öffnen Sie?", "a.md › Zeiten"),
    ] {
        assert_eq!(sources(&german.find(question)).first(), Some(&heading));
    }
    for words in [
        "Hallo, guten Tag!",
        "Danke, einen schönen Abend noch.",
        "Ja, bitte.",
    ] {
        assert_eq!(german.find(words), [], "{words}");
    }
    let chinese = base("# 停车\n停车场在楼后面，免费。\n# 时间\n我们早上九点开门，晚上十点关门。");
    for (question, heading) in [
        ("哪里可以停车？", "a.md › 停车"),
        ("几点关门", "a.md › 时间"),
    ] {
        assert_eq!(sources(&chinese.find(question)).first(), Some(&heading));
    }
    let french = base(
        "# Accès\nLe parking gratuit se trouve derrière la maison et les chiens sont les bienvenus.",
    );
    assert_eq!(
        french
            .find("Est-ce que je peux venir avec mon chien ?")
            .len(),
        1
    );
}

/// Questions that do not find a passage below one of these headings among the first two.
fn missed<'a>(base: &KnowledgeBase, questions: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    let found = |question: &str| {
        let found = base.find(question);
        sources(&found)
            .into_iter()
            .take(2)
            .collect::<Vec<_>>()
            .join(" | ")
    };
    questions
        .iter()
        .map(|(question, heading)| (*question, *heading, found(question)))
        .filter(|(_, heading, found)| !found.contains(heading))
        .map(|(question, _, found)| (question, found))
        .collect()
}

#[test]
fn a_question_with_a_time_of_day_is_about_opening_hours() {
    let hours = |question| (question, "Opening hours");
    let questions = [
        "Can I come at nine?",
        "Can we come at eight?",
        "what time's last orders",
        "Is it okay to arrive at quarter past nine?",
        "could we be there around half past seven",
        "Would it be all right to drop by after 10 pm",
        "may we stay until midnight",
        "are you there at noon",
    ]
    .map(hours);
    assert_eq!(missed(&restaurant(), &questions), []);
}

#[test]
fn german_questions_find_german_passages() {
    let text = "# Praxis Dr. Weber\n## Sprechzeiten\nMo, Di, Do: 8–12 Uhr und 14–18 Uhr. Mi und Fr: 8–13 Uhr.\n## Anfahrt\nHauptstraße 12, \
        2. Stock, Aufzug vorhanden. U2 bis Rathaus. Stellplätze im Hof.\n## Rezepte\nFolgerezepte können telefonisch bestellt und am nächsten \
        Werktag abgeholt werden.\n## Notfälle\nAußerhalb der Sprechzeiten wählen Sie 116117.\n## Impfungen\nGrippeimpfungen ab Oktober, \
        ohne Termin, dienstags.\n## Kosten\nPrivatpatienten erhalten eine Rechnung. Atteste kosten 10 Euro.";
    let base = KnowledgeBase::from_markdown([("a.md".to_owned(), text.to_owned())]);
    let questions = [
        ("Wann habt ihr auf?", "Sprechzeiten"),
        ("Kann ich am Mittwochnachmittag kommen?", "Sprechzeiten"),
        ("Wie komme ich zu Ihnen?", "Anfahrt"),
        ("Wo kann ich parken?", "Anfahrt"),
        ("Ich brauche neue Tabletten", "Rezepte"),
        ("Gibt es einen Lift?", "Anfahrt"),
        ("Was mache ich nachts bei Schmerzen?", "Notfälle"),
        ("Kann ich mich gegen Grippe impfen lassen?", "Impfungen"),
        ("Was kostet ein Attest?", "Kosten"),
        ("Haben Sie samstags offen?", "Sprechzeiten"),
        ("Welche U-Bahn?", "Anfahrt"),
        ("Ich bin privat versichert", "Kosten"),
        ("Wo ist die Praxis?", "Anfahrt"),
        ("Bis wann sind Sie freitags da?", "Sprechzeiten"),
        ("Kann ich um neun kommen?", "Sprechzeiten"),
        ("Geht es auch nach 17 Uhr?", "Sprechzeiten"),
    ];
    assert_eq!(missed(&base, &questions), []);
    for words in [
        "Hallo, guten Tag!",
        "Um halb acht.",
        "Ja, bitte.",
        "Danke, bis Freitag!",
    ] {
        assert_eq!(base.find(words), [], "{words}");
    }
}

#[test]
fn days_are_found_between_days_and_in_what_stands_for_them() {
    let base = |hours: &str| {
        let text = format!(
            "# A\n## Hours\n{hours}\n## Tommy\nTommy.\n## Soup\nLeek.\n## Wine\nChianti.\n## X\nXylo."
        );
        KnowledgeBase::from_markdown([("a.md".to_owned(), text)])
    };
    for (hours, question) in [
        (
            "The shop is there for you from Mon to Thu.",
            "Are you there on Wednesday?",
        ),
        (
            "The shop is there for you Mon–Fri 9-5.",
            "What about Tuesdays?",
        ),
        (
            "The shop is there for you on weekdays.",
            "Does it work on Thursday?",
        ),
        (
            "Sat–Mon the shop is there for you.",
            "Does it work on a Sunday",
        ),
        ("Wir sind für Sie da: Mo–Fr 9–17.", "Passt es am Mittwoch?"),
        (
            "Wir sind für Sie da: werktags.",
            "Geht es am Dienstagvormittag?",
        ),
        (
            "Nous sommes là pour vous du lun. au ven. de 9 h à 17 h.",
            "Je peux venir mercredi ?",
        ),
        (
            "Estamos aquí para usted y los suyos de lunes a viernes, pero no el resto.",
            "¿Puedo venir el miércoles?",
        ),
    ] {
        let found = base(hours).find(question);
        assert_eq!(
            sources(&found).first(),
            Some(&"a.md › A › Hours"),
            "{hours} {question}"
        );
    }
}

#[test]
fn a_garage_is_asked_for_a_car_and_for_help() {
    let text = "# Garage\n## Opening\nMon-Fri 7:30-18:00, Sat 9-13.\n## Prices\nOil change: 89 €. Tyre swap: 49 €.\n## Courtesy car\nWe \
        provide a vehicle while yours is with us.\n## Address\nMill Rd 4.\n## Warranty\nTwo years.\n## Towing\nDay and night.";
    let base = KnowledgeBase::from_markdown([("a.md".to_owned(), text.to_owned())]);
    let questions = [
        ("do you have a loaner", "Courtesy car"),
        ("my car broke down on the motorway", "Towing"),
        ("When are you open on Saturday?", "Opening"),
        ("how much is an oil change", "Prices"),
        ("could I bring it in at eight", "Opening"),
    ];
    assert_eq!(missed(&base, &questions), []);
}

#[test]
fn as_many_passages_are_given_as_the_documentation_says() {
    let documents = (0..8).map(|number| {
        (
            format!("{number}.md"),
            "The salon has free parking.".to_owned(),
        )
    });
    let base = KnowledgeBase::from_markdown(documents);
    assert_eq!(base.find("parking").len(), 4);
    assert_eq!(base.with_top_k(6).find("parking").len(), 6);
    let docs = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md"),
    )
    .unwrap();
    assert!(docs.contains("| `top_k` | `4` |"));
}
