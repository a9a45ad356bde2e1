//! What people say instead of what documents say, and what they say that asks for nothing. Only everyday words of shops,
//! surgeries, hotels and restaurants: words of a trade stand in its documents, and closeness of meaning is an embedding's business.

/// What another word for the same counts beside the word itself.
pub(crate) const WEIGHT: f32 = 0.5;
/// What the words count that answer a way of asking.
pub(crate) const INTENT_WEIGHT: f32 = 0.6;

/// Words for the same, or that stand in the answer to one another.
const GROUPS: &[&str] = &[
    "open opening opens hours close closed closing closes shut",
    "located location address street directions situated where",
    "dinner supper evening tonight",
    "lunch lunchtime midday noon",
    "breakfast brunch morning",
    "price prices cost costs charge charges fee fees expensive cheap euros dollars pounds rate rates",
    "pay paying payment card cards cash credit visa mastercard",
    "tip tips gratuity",
    "cancel cancelling cancelled cancellation refund reschedule postpone",
    "book booking bookings reserve reserved reservation reservations",
    "appointment appointments visit",
    "late later delay delayed",
    "group groups party parties large big",
    "outside outdoor outdoors terrace patio garden balcony",
    "dog dogs puppy pet pets animal animals",
    "child children kid kids baby toddler toddlers son daughter",
    "wheelchair wheelchairs disabled accessible accessibility step-free barrier ramp stairs steps step",
    "toilet toilets restroom restrooms bathroom bathrooms washroom loo",
    "park parking car cars garage",
    "tram bus train metro subway underground station stop",
    "birthday birthdays anniversary celebrate celebration",
    "allergy allergies allergic allergen allergens intolerant intolerance contain contains",
    "nut nuts peanut peanuts almond almonds hazelnut hazelnuts walnut walnuts",
    "gluten coeliac celiac wheat",
    "dairy milk lactose cheese",
    "vegan vegans vegetarian vegetarians veggie",
    "fish seafood shellfish prawns shrimp mussels oysters crab lobster",
    "meat beef lamb chicken pork steak",
    "dessert desserts sweet sweets pudding cake cakes",
    "starter starters appetizer appetizers appetiser appetisers",
    "main mains entree entrees",
    "dish dishes meal meals food eat menu course courses",
    "wine wines drink drinks alcohol corkage",
    "noodles pasta tagliatelle spaghetti",
    "eggplant aubergine",
    "holiday holidays christmas december easter",
    "phone telephone number contact email",
    "delivery deliver takeaway takeout",
    "wifi internet wlan",
    "insurance insured insurer",
    "doctor doctors physician gp",
    "haircut haircuts cut trim",
    "room rooms bedroom suite",
];

const HOURS: &str = "open opening hours closed closes";
const PLACE: &str = "address street located location where directions";
const PRICE: &str = "price prices costs euros charge fee";

/// Ways of asking, and words that answer them.
const INTENTS: &[(&str, &str)] = &[
    ("what time do", HOURS),
    ("what time does", HOURS),
    ("what time are", HOURS),
    ("what time can", HOURS),
    ("what times", HOURS),
    ("how late", HOURS),
    ("how early", HOURS),
    ("till when", HOURS),
    ("until when", HOURS),
    ("until what time", HOURS),
    ("when do you", HOURS),
    ("when are you", HOURS),
    ("when can i", HOURS),
    ("when can we", HOURS),
    ("where are you", PLACE),
    ("where is it", PLACE),
    ("where is your", PLACE),
    ("where is the", PLACE),
    ("where can i find", PLACE),
    ("how do i get", PLACE),
    ("how do we get", PLACE),
    ("how can i get", PLACE),
    ("get there", PLACE),
    ("find you", PLACE),
    ("how much", PRICE),
    ("how expensive", PRICE),
    ("how many people", "seat seats party parties group"),
    ("how many of us", "seat seats party parties group"),
];

/// Words of conversation that say nothing about a topic, beside the language's own small words.
pub(crate) const SMALL_TALK: &str = "\
    hello hi hey thanks thank bye goodbye cheers please sorry pardon excuse welcome okay ok yes yeah yep yup nope \
    nah sure certainly absolutely exactly correct great good fine well alright right nice lovely perfect wonderful \
    brilliant cool awesome fantastic super hmm hm mhm uh um oh ah er wow maybe perhaps really actually quite pretty \
    anything something everything nothing anybody somebody anyone someone else bit lot lots also already yet still \
    ever never always away back may might could would shall must need needs want wants wanted like likes get gets \
    got getting go goes going gonna come comes coming came know known tell tells told say says said saying ask \
    asking let lets see look looking give gives make makes take takes put thing things kind sort way talk talking \
    speak speaking help call calling called wonder wondering question questions mean think thinking guess hope \
    understand understood repeat again hear hearing moment wait name named serve serves offer offers provide \
    available possible possibly allowed able use try much many us any im ill id ive dont whats thats isnt hold \
    leave somewhere anywhere instead about place restaurant shop home sounds bother worry problem matter hallo \
    danke bitte tschüss ja nein gern gerne gibt geht hätte möchte guten gut wiedersehen könnten kann können bonjour \
    bonsoir merci oui non salut plaît voudrais hola gracias adiós favor sí buenos buenas ciao grazie buongiorno \
    buonasera prego sì hoi bedankt nee graag olá obrigado obrigada sim";

/// Words that place a question in time or count something.
const WEAK: &str = "\
    today tomorrow yesterday now soon time times day days week weeks month year hour minute minutes clock pm am \
    date people person persons one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty \
    forty fifty wife husband partner friend friends mother father mum mom dad parents family colleague colleagues \
    guy guys half quarter past first last next second long new more little real";

const DAYS: &str = "\
    monday tuesday wednesday thursday friday saturday sunday weekend tonight evening";

/// Wishes: after the first kind of word one of the second is no question about mornings.
const WISHES: &str =
    "good nice lovely great pleasant wonderful guten schönen schöner gute buenas bonne";
const PARTS: &str =
    "morning afternoon evening night day weekend one morgen tag abend nacht noches tardes journée";

fn is_in(list: &str, word: &str) -> bool {
    list.split(' ').any(|other| other == word)
}

/// Other words for it.
pub(crate) fn of(word: &str) -> impl Iterator<Item = &'static str> {
    GROUPS
        .iter()
        .filter(move |group| is_in(group, word))
        .flat_map(|group| group.split(' '))
}

/// Answers to the ways in which these words ask.
pub(crate) fn intents(words: &[&str]) -> Vec<&'static str> {
    let asked = format!(" {} ", words.join(" "));
    let mut found = Vec::new();
    for (way, answers) in INTENTS {
        if asked.contains(&format!(" {way} ")) && !found.contains(answers) {
            found.push(*answers);
        }
    }
    found
}

/// "Good morning", "a nice evening".
pub(crate) fn is_polite(before: Option<&str>, word: &str) -> bool {
    before.is_some_and(|before| is_in(WISHES, before)) && is_in(PARTS, word)
}

/// Does it never say by itself what a question is about?
pub(crate) fn is_weak(word: &str) -> bool {
    is_in(WEAK, word) || word.chars().all(char::is_numeric)
}

pub(crate) fn is_day(word: &str) -> bool {
    is_in(DAYS, word.trim_end_matches('s'))
}
