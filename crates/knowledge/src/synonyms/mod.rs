//! What people say instead of what documents say, and what they say that asks for nothing. Only everyday words of shops,
//! surgeries, hotels and restaurants: words of a trade stand in its documents, and closeness of meaning is an embedding's business.

use rustc_hash::FxHashMap;

/// What another word for the same counts beside the word itself.
pub(crate) const WEIGHT: f32 = 0.5;
/// What the words count that answer a way of asking.
pub(crate) const PHRASE_WEIGHT: f32 = 0.6;
/// So many other words may stand between the words of a phrase: "call our whole table off".
const MAX_BETWEEN: usize = 3;
/// From so many people on they are a group.
const MANY: u32 = 7;

/// Words for the same, or that stand in the answer to one another; compared by their stems. `a_b` is a phrase, `a~b` one
/// in which other words may stand between, `#` a number of people that makes a group. A phrase is only asked with: it
/// stands for the single words beside it.
const GROUPS: &[&str] = &[
    "open opening hours close closed shut what_time_do what_time_does what_time_are what_time_can how_late \
     how_early till_when until_when until_what_time when_do_you when_are_you when_can_i when_can_we latest_i latest_we \
     latest_you earliest_i earliest_we earliest_you are_you_around are_you_there are_you_still_there_on",
    "located location address street road directions situated where corner where_are_you whereabouts where_abouts where_is_it where_is_your \
     where_is_the where_can_i_find how_do_i_get how_do_we_get how_can_i_get how_can_we_get get_there get_to_you find_you \
     reach_you near_you close_to_you get_off",
    "phone telephone number contact email website reach_you call_you get_in_touch get_hold_of",
    "dinner supper evening tonight",
    "lunch lunchtime midday noon",
    "breakfast brunch morning",
    "seated when_can~eat when_can~food when_can~lunch when_can~dinner earliest~sit latest~sit latest~arrive latest~come",
    "price cost charge fee pricey expensive cheap euros dollars pounds rate how_much what_do~charge how_expensive lose_money",
    "free complimentary included no_charge do_i_pay do_we_pay",
    "pay payment bill card cash credit debit visa mastercard maestro amex contactless american_express apple_pay google_pay \
     check_out split~bill pick_up_the_tab",
    "instalment installment month split~bill pay~off",
    "tip gratuity",
    "cancel cancellation refund reschedule postpone rebook swap notice call~off back_out pull_out change~booking change~reservation \
     change~appointment change~order move~booking move~reservation move~appointment put~off drop~booking \
     can_t_make can_t_come can_t_attend cannot_make cannot_come not_make_it not_coming not_come unable_to_come \
     unable_to_make show_up turn_up something~come_up no_show",
    "attend missed appearance show_up turn_up can_t_make can_t_come not_come forget~appointment no_show",
    "book booking reserve reservation",
    "appointment visit consultation slot",
    "late later latest delay run~late run~behind held_up stuck_in hold_table keep~table save~table",
    "group party large big crowd #_of_us #_people #_persons #_guests #_altogether #_in_total party_of how_many_people \
     how_many_of_us how_many~seat",
    "outside outdoor terrace patio garden balcony courtyard al_fresco open_air fresh_air in_the_sun sit_out sit~outside",
    "dog puppy pup hound labrador terrier pet animal four_legged",
    "child children kid baby toddler son daughter infant boy girl teenager eighteen little_one year_old years_old",
    "wheelchair disabled accessible accessibility step-free barrier ramp stairs step lift elevator crutches stroller pram \
     pushchair buggy walker get_in get_upstairs",
    "lift elevator escalator get_upstairs",
    "toilet restroom bathroom washroom loo lavatory gents ladies_room powder_room",
    "park parking car garage drive vehicle",
    "tram bus train metro subway underground station stop public_transport",
    "birthday anniversary celebrate celebration surprise turn_# turn_thirty turn_forty turn_fifty turn_sixty turn_eighteen",
    "allergy allergic allergen intolerant intolerance contain",
    "nut peanut almond hazelnut walnut cashew pistachio",
    "gluten coeliac celiac wheat",
    "dairy milk lactose cheese cream butter",
    "vegan vegetarian veggie plant-based without_meat no_meat meatless meat_free",
    "fish seafood shellfish prawn shrimp mussel oyster crab lobster",
    "meat beef lamb chicken pork steak",
    "dessert sweet pudding cake ice_cream",
    "starter appetizer appetiser",
    "main entree",
    "dish meal food eat menu course special recommend",
    "wine drink alcohol corkage beer cocktail beverage",
    "noodles pasta tagliatelle spaghetti",
    "eggplant aubergine",
    "holiday christmas december easter new_year boxing_day",
    "delivery deliver takeaway takeout",
    "wifi internet wlan",
    "insurance insured insurer cover covered health_plan",
    "doctor physician gp",
    "haircut cut trim",
    "colouring coloring dye tint highlights",
    "voucher gift_card gift_certificate",
    "stylist hairdresser staff team who_works",
    "walk-in without_an_appointment drop_in walk_in come_by pop_in",
    "room bedroom suite",
    "parcel package packet shipment",
    "send ship mail post dispatch sender",
    "collect collecting pickup fetch pick~up",
    "keep hang_on_to hold_on_to store",
    "bring take~along bring~along",
    "abroad international overseas foreign country customs america asia africa australia",
    "domestic domestically inland national within_the_country",
    "size dimension big large measure how_big how_long_can how_wide",
    "weight heavy weigh kilo kilogram gram pounds how_heavy",
    "return send~back give~back bring~back take~back drop~off hand~over hand~in",
    "box carton envelope packaging wrapping wrap",
    "forbidden prohibited banned illegal allowed not_allowed may_i_send can_i_send",
    "damage broken smashed cracked dented torn lost missing claim",
    "track tracking where_is~package where_is~parcel where_s~package where_s~parcel where_is~order",
    "copy photocopy duplicate scan print printer",
    "another other neighbour neighbor somebody_else someone_else",
    "identity identification id passport papers documents",
    "register registration enrol enroll join sign~up become_a",
    "emergency urgent pain hurt ache agony toothache swelling swollen bleeding bleed right_away straight_away as_soon_as",
    "examination exam checkup check look~at",
    "clean cleaned cleaning polish wash hygienist",
    "white whitening whiter bleach bright brighter",
    "braces aligners straighten crooked orthodontist",
    "filling cavity hole",
    "nervous afraid anxious scared terrified frightened fear phobia",
    "smoke smoking cigarette vape",
    "extraction pull~tooth pull~out take~out",
    "floor storey upstairs downstairs level",
];

/// Words of conversation that say nothing about a topic, beside the language's own small words.
pub(crate) const SMALL_TALK: &str = "\
    hello hi hey thanks thank bye goodbye cheers please sorry pardon excuse welcome okay ok yes yeah yep yup nope \
    nah sure certainly absolutely exactly correct great good fine well alright right nice lovely perfect wonderful \
    brilliant cool awesome fantastic super hmm hm mhm uh um oh ah er wow mind robot bot human maybe perhaps really actually quite pretty \
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
    zero today tomorrow yesterday now soon time times day days week weeks month year hour minute minutes clock pm am \
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

/// A word of a phrase.
#[derive(Clone, Debug)]
enum Part {
    /// By its stem; other words may stand before it.
    Word(String, bool),
    /// A number from [`MANY`] on.
    Many,
}

/// The groups by the stems of their words.
#[derive(Default)]
pub(crate) struct Thesaurus {
    /// The single words of each group.
    groups: Vec<Vec<String>>,
    of: FxHashMap<String, Vec<usize>>,
    phrases: Vec<(Vec<Part>, usize)>,
}

impl Thesaurus {
    /// With words in this form.
    pub(crate) fn new(stem: impl Fn(&str) -> String) -> Self {
        let mut all = Self::default();
        for (number, group) in GROUPS.iter().enumerate() {
            let mut words: Vec<String> = Vec::new();
            for member in group.split_whitespace() {
                if member.contains(['_', '~']) {
                    all.phrases.push((phrase(member, &stem), number));
                    continue;
                }
                for word in member.split('-').map(&stem) {
                    if !words.contains(&word) {
                        all.of.entry(word.clone()).or_default().push(number);
                        words.push(word);
                    }
                }
            }
            all.groups.push(words);
        }
        all
    }

    /// Other words for it.
    pub(crate) fn others(&self, stem: &str) -> impl Iterator<Item = &String> {
        let groups = self.of.get(stem).map(Vec::as_slice).unwrap_or_default();
        groups
            .iter()
            .filter_map(|number| self.groups.get(*number))
            .flatten()
            .filter(move |other| *other != stem)
    }

    /// The stems that a slip of the tongue or of the ear may have been meant as.
    pub(crate) fn stems(&self) -> impl Iterator<Item = &str> {
        self.of.keys().map(String::as_str)
    }

    /// What the phrases in these words stand for, each group once.
    pub(crate) fn phrases(&self, words: &[&str], stems: &[String]) -> Vec<&[String]> {
        let mut found: Vec<usize> = Vec::new();
        for (phrase, group) in &self.phrases {
            if !found.contains(group)
                && (0..words.len()).any(|at| stands_at(phrase, words, stems, at))
            {
                found.push(*group);
            }
        }
        let groups = found.into_iter().filter_map(|group| self.groups.get(group));
        groups.map(Vec::as_slice).collect()
    }
}

fn phrase(member: &str, stem: impl Fn(&str) -> String) -> Vec<Part> {
    let mut parts = Vec::new();
    for (at, run) in member.split('~').enumerate() {
        for (number, word) in run.split('_').enumerate() {
            parts.push(match word {
                "#" => Part::Many,
                word => Part::Word(stem(word), at > 0 && number == 0),
            });
        }
    }
    parts
}

fn stands_at(phrase: &[Part], words: &[&str], stems: &[String], start: usize) -> bool {
    let mut at = start;
    for (number, part) in phrase.iter().enumerate() {
        let reach = match part {
            Part::Word(_, true) if number > 0 => MAX_BETWEEN,
            _ => 0,
        };
        let is_here = |at: &usize| match part {
            Part::Word(word, _) => stems.get(*at) == Some(word),
            Part::Many => words.get(*at).is_some_and(|word| is_many(word)),
        };
        match (at..=at + reach).find(is_here) {
            Some(here) => at = here + 1,
            None => return false,
        }
    }
    true
}

fn is_many(word: &str) -> bool {
    is_in(
        "seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen eighteen twenty thirty forty fifty dozen",
        word,
    ) || word
        .parse::<u32>()
        .is_ok_and(|number| (MANY..1000).contains(&number))
}

/// Words that ask for a time or a place, though a language counts them among its small words.
const ASKING: &str = "when where wann wo wohin quand où cuándo dónde cuánto quando quanto dove wanneer waar når hvor var";

/// Does it ask, without saying what about?
pub(crate) fn asks(word: &str) -> bool {
    is_in(ASKING, word)
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
