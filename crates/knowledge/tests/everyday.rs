//! Everyday questions about the restaurant of the example, in words that its documents do not use; and what asks for nothing.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use antiphon_dialogue::chat::Passage;
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
    "Can I talk to a real person?",
    "What time is it?",
    "Tell me a joke.",
    "What's the weather like in Paris?",
    "Who won the war of the roses?",
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
        .map(|words| (words, base.find(words)))
        .filter(|(_, passages)| !passages.is_empty())
        .map(|(words, passages)| (words, sources(&passages).join(" | ")))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_base_of_one_sentence_finds_what_is_in_it_and_nothing_else() {
    let text = "The salon has free parking behind the house.";
    let base = KnowledgeBase::from_markdown([("salon.md".to_owned(), text.to_owned())]);
    for question in [
        "Where can I park?",
        "is there a car park",
        "Do you have free parking near the station?",
        "parking",
    ] {
        assert_eq!(base.find(question).len(), 1, "{question}");
    }
    for question in SMALL_TALK.iter().chain(&[
        "How much is a haircut?",
        "Do you cut children's hair on Mondays?",
    ]) {
        assert_eq!(base.find(question), [], "{question}");
    }
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
        for words in SMALL_TALK {
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
    assert_eq!(
        sources(&german.find("Gibt es bei Ihnen einen Parkplatz?")),
        ["a.md › Anfahrt"]
    );
    assert_eq!(sources(&german.find("Wann öffnen Sie?")), ["a.md › Zeiten"]);
    for words in [
        "Hallo, guten Tag!",
        "Danke, einen schönen Abend noch.",
        "Ja, bitte.",
    ] {
        assert_eq!(german.find(words), [], "{words}");
    }
    let chinese = base("# 停车\n停车场在楼后面，免费。\n# 时间\n我们早上九点开门，晚上十点关门。");
    assert_eq!(sources(&chinese.find("哪里可以停车？")), ["a.md › 停车"]);
    assert_eq!(sources(&chinese.find("几点关门")), ["a.md › 时间"]);
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
