use super::Spoken;

fn assert_said(pairs: &[(&str, &str)]) {
    let spoken = Spoken::new().unwrap();
    let wrong: Vec<String> = pairs
        .iter()
        .map(|(text, expected)| (text, expected, spoken.say(text)))
        .filter(|(_, expected, said)| said != *expected)
        .map(|(text, expected, said)| format!("{text}\n  {said}\n  {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Sentences that are read rightly as they are.
fn assert_left_alone(texts: &[&str]) {
    let pairs: Vec<(&str, &str)> = texts.iter().map(|text| (*text, *text)).collect();
    assert_said(&pairs);
}

#[test]
fn telephone_numbers_are_read_digit_by_digit_wherever_they_stand() {
    assert_said(&[
        ("Call 555-2368.", "Call 5 5 5, 2 3 6 8."),
        ("Call (415) 555-0199 now", "Call 4 1 5, 5 5 5, 0 1 9 9 now"),
        (
            "Call 1-800-555-0147, please",
            "Call 1, 8 hundred, 5 5 5, 0 1 4 7, please",
        ),
        (
            "It is +44 20 7946 0958.",
            "It is plus 4 4, 2 0, 7 9 4 6, 0 9 5 8.",
        ),
        ("Dial 020 7946 0018.", "Dial 0 2 0, 7 9 4 6, 0 0 1 8."),
        ("Dial 07700 900123.", "Dial 0 7 7, 0 0, 9 0 0, 1 2 3."),
        ("617.555.0123 is it", "6 1 7, 5 5 5, 0 1 2 3 is it"),
        ("Ask for ext. 204.", "Ask for extension 2 0 4."),
        ("Call 4155550199!", "Call 4 1 5, 5 5 5, 0 1 9 9!"),
    ]);
}

#[test]
fn codes_cards_and_references_are_read_sign_by_sign() {
    assert_said(&[
        ("Your code is 4071.", "Your code is 4 0 7 1."),
        ("Dial 9920#.", "Dial 9920 pound."),
        ("The PIN is 0042.", "The PIN is 0 0 4 2."),
        (
            "Your confirmation number is 83091, thanks",
            "Your confirmation number is 8 3 0, 9 1, thanks",
        ),
        ("Order 20458813 is here", "Order 2 0 4, 5 8 8, 1 3 is here"),
        ("It is AX-7719-Q.", "It is A.X, 7 7 1 9, Q."),
        (
            "Card 4111 1111 1111 1234",
            "Card 4 1 1 1, 1 1 1 1, 1 1 1 1, 1 2 3 4",
        ),
        ("Sort code 00-11-22.", "Sort code 0 0, 1 1, 2 2."),
        ("SKU 4-56-0012", "SKU 4, 5 6, 0 0 1 2"),
        ("Portland, OR 97205.", "Portland, Oregon 9 7 2 0 5."),
        ("Austin, TX 78701-1234", "Austin, Texas 7 8 7 0 1, 1 2 3 4"),
    ]);
}

#[test]
fn amounts_dates_years_and_rooms_are_no_codes() {
    assert_left_alone(&[
        "Room 305 on floor 12.",
        "It is due on 2026-03-14 or 3-14-2026.",
        "On 3/14/2026 at 7:30 pm.",
        "From 1999-2003 or so.",
        "That is $1,250 for 1,234,567 people.",
        "We have 250000 bottles, 3.14 each.",
        "COVID-19, MP3 and B12 in 2026.",
        "Number 7 and number 305.",
        "It is 99 cents, 3.5% more.",
        "1 250 000 people came.",
        "Version 1.2.3 works.",
    ]);
}

#[test]
fn addresses_of_mail_and_the_web_are_told_as_people_tell_them() {
    assert_said(&[
        (
            "Write to info@olive-press.com.",
            "Write to info at olive dash press dot com.",
        ),
        (
            "Mail j.smith42@gmail.co.uk, please",
            "Mail J dot smith 42 at gmail dot co dot U.K, please",
        ),
        (
            "See www.olivepress.com/menu.",
            "See olivepress dot com slash menu.",
        ),
        (
            "See https://example.org/book?table=4.",
            "See example dot org slash book question mark table equals 4.",
        ),
        ("It is on bbc.co.uk!", "It is on B.B.C dot co dot U.K!"),
        (
            "kim_lee@mail.example.de",
            "kim underscore lee at mail dot example dot D.E",
        ),
    ]);
    assert_left_alone(&[
        "We end here.Then more.",
        "That is, e. g., all.",
        "Mr. Com.",
        "It costs 2.50.",
    ]);
}

#[test]
fn hours_days_and_scores_are_read_as_people_say_them() {
    assert_said(&[
        ("Open 9am-5pm.", "Open 9:00am to 5:00pm."),
        ("Lunch is 12-2:30 p.m.", "Lunch is 12 to 2:30 p.m."),
        ("Open 12:00–22:00.", "Open 12:00 to 10:00 pm."),
        ("At 17:00 h sharp", "At 5:00 pm sharp"),
        ("At 00:15.", "At 12:15 am."),
        (
            "Mon-Fri, Tue.–Sun., Jan-Mar",
            "Monday to Friday, Tuesday to Sunday, January to March",
        ),
        ("Monday–Friday", "Monday to Friday"),
        ("You lead 3:2.", "You lead 3 to 2."),
        ("On 14.03.2026.", "On 14 March 2026."),
    ]);
    assert_left_alone(&[
        "At 12:05 or 7:30 pm.",
        "It is 1:30:20 long.",
        "At 9:00 a.m. today.",
    ]);
}

#[test]
fn prices_measures_and_fractions_are_read_as_people_say_them() {
    assert_said(&[
        ("Between $10-$15 a head", "Between 10 to $15 a head"),
        ("£3.50-£4 a pint", "£3.50 to £4 a pint"),
        ("It is -$12.40.", "It is minus $12.40."),
        (
            "12 m x 8 m, 3x daily",
            "12 meters by 8 meters, 3 times daily",
        ),
        ("1,250.00 €", "€1,250.00"),
        ("CHF 45 or 20 EUR.", "45 Swiss francs or €20."),
        ("12,50 € each", "€12.50 each"),
        ("1.250,00 € each", "€1250.00 each"),
        ("30 x 40 x 20 cm", "30 by 40 by 20 cm"),
        ("5 ft 10 in tall", "5 feet 10 inches tall"),
        ("1/2 lb of butter", "half a pound of butter"),
        ("3/4 cup of flour", "three quarters of a cup of flour"),
        ("1/2 oz, 1/2 hour", "half an ounce, half an hour"),
        ("It takes 1 1/2 hours.", "It takes 1 and a half hours."),
        ("2½ hours", "2 and a half hours"),
        (
            "250 g and 1 l, 25 m² or 10 m.",
            "250 grams and 1 liter, 25 square meters or 10 meters.",
        ),
        ("10 min. by car", "10 min by car"),
        ("We serve 24/7.", "We serve 24 7."),
    ]);
    assert_left_alone(&[
        "We raised $5m.",
        "In 10 min. Then go.",
        "Take 500 mg.",
        "He is 5 in May.",
    ]);
}

#[test]
fn short_forms_are_read_in_full() {
    assert_said(&[
        ("12 Elm Dr., Boston", "12 Elm Drive, Boston"),
        ("Pope John XXIII came", "Pope John the twenty-third came"),
        (
            "1600 Pennsylvania Ave. NW",
            "1600 Pennsylvania Ave. Northwest",
        ),
        (
            "Nuts, seeds, etc., e.g. almonds",
            "Nuts, seeds, etc, for example almonds",
        ),
    ]);
    assert_left_alone(&[
        "Dr. Lee is in.",
        "See Dr. Lee.",
        "King Charles and Queen Victoria",
        "12 St. John St.",
        "Nuts, seeds, etc.",
    ]);
}
