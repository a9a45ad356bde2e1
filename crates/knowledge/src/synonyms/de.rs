//! German.

use super::Table;

pub(super) const TABLE: Table = Table {
    groups: &[
        "geöffnet öffnungszeiten öffnen öffnet offen schließen schließt geschlossen ruhetag sprechzeiten sprechstunde geschäftszeiten \
         uhr wann_habt wann_haben wann_seid wann_sind wann_macht wann_machen wann_kann wann_können bis_wann ab_wann wie_lange_habt \
         wie_lange_haben wie_lange_seid wie_lange_sind habt_ihr~auf haben_sie~auf habt_ihr~zu haben_sie~zu macht_ihr~auf macht_ihr~zu \
         machen_sie~auf machen_sie~zu hat_auf hat_zu noch_auf seid_ihr_da sind_sie~da wie_viel_uhr wieviel_uhr letzte_bestellung \
         letzte_bestellungen annahmeschluss",
        "küche warm~essen zu_essen letzte_bestellung letzte_bestellungen",
        "adresse anschrift straße hausnummer anfahrt lage standort haltestelle erreichbar wo_ist_die wo_ist_das wo_ist_der wo_sind_sie \
         wo_seid_ihr wo_finde wo_liegt wo_genau wo_befindet wie_komme_ich wie_kommen_wir wie_kommt_man wie_finde_ich welche_straße \
         finden",
        "parkplatz parken stellplatz tiefgarage parkhaus garage auto wagen abstellen",
        "bus bahn ubahn tram straßenbahn haltestelle station zug öpnv linie u1 u2 u3 u4 u5 u6 u7 u8 u9 öffentlich",
        "preis kosten gebühr euro teuer günstig eintritt tarif wie_viel wieviel was_nehmt was_nehmen_sie",
        "bezahlen zahlen zahlung bezahlung bar bargeld kartenzahlung eckarte ec girocard kreditkarte visa mastercard maestro amex paypal \
         kontaktlos überweisung rechnung raten apple_pay google_pay mit_karte",
        "reservieren reservierung buchen buchung tisch vorbestellen",
        "termin terminvergabe terminvereinbarung anmeldung anmelden voranmeldung",
        "stornieren stornierung absagen absage abbestellen verschieben umbuchen verlegen vortag ausfallhonorar verhindert \
         dazwischengekommen etwas_dazwischen nicht_kommen doch_nicht nicht_schaffen schaffen_es_nicht",
        "spät verspäten verspätung verspätet später",
        "allergie allergiker allergisch allergen unverträglichkeit vertragen vertrage verträgt zusatzstoff inhaltsstoff",
        "gluten glutenfrei weizen zöliakie",
        "laktose laktosefrei milch käse sahne",
        "nuss nüsse erdnuss haselnuss mandel",
        "vegan vegetarisch vegetarier vegetarisches veganer veganes fleischlos fleisch",
        "speise essen gericht speisekarte menü mittagstisch hunger",
        "trinken getränk wein bier",
        "lift aufzug fahrstuhl treppe stufe stockwerk stock etage obergeschoss erdgeschoss",
        "rollstuhl rollator barrierefrei barrierefreiheit behindert behinderung gehbehindert stufenlos ebenerdig rampe aufzug treppe \
         kinderwagen krücke",
        "telefon telefonnummer telefonisch nummer rufnummer anrufen erreichen kontakt email mail website",
        "kind kleinkind baby tochter sohn mädchen junge enkel kinderstuhl hochstuhl spielecke kleine kindermenü",
        "hund haustier tier vierbeiner welpe katze leine angeleint",
        "liefern lieferung lieferservice lieferdienst abholen abholung mitnehmen bringdienst außer_haus nach_hause",
        "draußen terrasse garten biergarten balkon außenbereich im_freien",
        "feiertag weihnachten ostern silvester neujahr heiligabend",
        "urlaub betriebsferien ferien",
        "toilette wc klo",
        "wlan internet wifi",
        "gutschein geschenkgutschein",
        "notfall notdienst bereitschaftsdienst dringend schmerz akut nachts außerhalb",
        "rezept folgerezept medikament tablette arznei",
        "impfung impfen grippeimpfung spritze geimpft",
        "versichert versicherung krankenkasse kasse privatpatient kassenpatient versichertenkarte",
        "mitbringen unterlage ausweis versichertenkarte überweisung",
        "zimmer doppelzimmer einzelzimmer übernachten übernachtung unterkunft schlafen",
        "gruppe feier feiern fest hochzeit geburtstag saal gesellschaft #_leute #_personen #_gäste zu_#",
        "haarschnitt haare schneiden schnitt",
        "reparieren reparatur kaputt defekt panne abschleppen",
        "leihen ausleihen mieten verleih miete ersatzwagen leihwagen",
    ],
    asks: "kann_ich kann_man kann_ich_auch können_wir könnten_wir könnte_ich darf_ich dürfen_wir geht_es geht_auch geht_das habt_ihr haben_sie \
           seid_ihr sind_sie ist_es ist_das passt_es passt_ihnen wäre_es wäre_auch ist_noch",
    at: "um ab bis vor nach gegen von",
    clock: "uhr",
    numbers: "ein eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf halb viertel dreiviertel mittag mitternacht",
    weak: "heute morgen gestern übermorgen jetzt uhr stunde stunden minuten tag tage woche wochen monat jahr person personen mann frau \
           freund freundin mutter vater oma opa leider gern gerne würde brauche komme kommen kommt mache machen macht vorbeikommen",
    days: [
        "montag mo",
        "dienstag di",
        "mittwoch mi",
        "donnerstag do",
        "freitag fr",
        "samstag sa sonnabend",
        "sonntag so",
    ],
    workdays: "werktags wochentags werktag werktage",
    weekend: "wochenende wochenenden",
    daily: "täglich",
    to: "bis",
};
