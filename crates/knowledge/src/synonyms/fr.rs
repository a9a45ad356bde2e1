//! French.

use super::Table;

pub(super) const TABLE: Table = Table {
    groups: &[
        "ouvert ouverture ouvrir ouvrez ouvre horaire heure fermé fermer fermeture fermez ferme jusqu_à_quelle à_quelle_heure quelle_heure \
         quand_est_ce quand_ouvrez quand_fermez à_partir_de_quelle jusqu_à_quand vous_êtes_là vous_êtes_encore dernière_commande \
         dernières_commandes",
        "cuisine service dernière_commande dernières_commandes",
        "adresse rue accès situé situation plan itinéraire venir_chez où_êtes où_êtes_vous vous_êtes_où où_est où_se_trouve \
         où_vous_trouvez comment_venir comment_aller comment_on comment_je quelle_rue où_exactement",
        "parking garer stationnement stationner voiture garage",
        "bus métro tram tramway train gare arrêt station ligne",
        "prix tarif coût coûter coûte euro cher combien",
        "payer paiement règlement régler carte espèce liquide cash chèque visa mastercard bancaire virement",
        "réserver réservation table",
        "rendez-vous consultation rdv",
        "annuler annulation reporter décaler déplacer décommander veille empêchement ne_peux_pas_venir ne_pouvons_pas_venir",
        "retard tard",
        "allergie allergique allergène intolérant intolérance",
        "gluten blé coeliaque cœliaque",
        "lait lactose fromage",
        "végétarien végétarienne végétalien végan vegan viande",
        "plat menu carte manger repas",
        "boire boisson vin bière",
        "ascenseur escalier marche étage",
        "fauteuil roulant handicap handicapé mobilité accessible accessibilité pmr rampe poussette béquille ascenseur escalier",
        "téléphone numéro appeler joindre contacter contact mail email courriel",
        "enfant bébé fille fils garçon petit chaise",
        "chien animal animaux chat laisse",
        "livrer livraison livrez emporter emporté domicile",
        "dehors terrasse jardin extérieur",
        "férié noël pâques vacances congé",
        "toilette wc",
        "wifi internet wi-fi",
        "bon cadeau chèque-cadeau",
        "urgence urgent douleur mal",
        "ordonnance médicament",
        "vaccin vaccination vacciner grippe",
        "assurance mutuelle vitale remboursé",
        "chambre nuit dormir hébergement lit",
        "groupe anniversaire mariage fête salle",
        "coupe coiffure cheveux",
        "réparer réparation panne dépannage remorquage",
        "louer location prêt prêter",
    ],
    asks: "est_ce_que est_ce_qu je_peux on_peut peut_on puis_je pouvons_nous nous_pouvons vous_êtes êtes_vous vous_avez avez_vous c_est \
           c_est_possible est_il ça_va on_pourrait je_pourrais",
    at: "à vers avant après jusqu dès de",
    clock: "heures heure h",
    numbers: "une deux trois quatre cinq six sept huit neuf dix onze douze midi minuit demie quart",
    weak: "aujourd hui demain hier maintenant jour jours semaine mois an personne personnes mari femme père mère exactement voudrais \
           venir viens vient peux peut pouvez pouvons est êtes",
    days: [
        "lundi lun",
        "mardi mar",
        "mercredi mer",
        "jeudi jeu",
        "vendredi ven",
        "samedi sam",
        "dimanche dim",
    ],
    workdays: "semaine",
    weekend: "week-end weekend",
    daily: "quotidien tlj",
    to: "au à",
};
