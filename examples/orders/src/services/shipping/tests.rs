use annalist::testing::{given, given_view};

use super::{AnswerCancellation, AnswerShipment, Parcels, ShippingTotals, TOTALS};
use crate::{
    domain::Customer,
    fulfilment::{Shipment, ShipmentEvent},
};

fn customer() -> Customer {
    "00001".parse().unwrap()
}

fn scheduled() -> ShipmentEvent {
    ShipmentEvent::Scheduled { customer: customer(), cds: 3 }
}

#[test]
fn every_request_is_answered_by_an_event() {
    let ship = |cds| AnswerShipment { customer: customer(), cds, cds_max: 8 };
    let refused = |cds, why: &str| ShipmentEvent::Refused { cds, why: why.to_owned() };
    given::<Shipment>([]).when(ship(3)).then_emits([scheduled()]);
    given::<Shipment>([]).when(ship(9)).then_emits([refused(9, "8 CDs fit into a parcel, not 9")]);
    given::<Shipment>([scheduled()]).when(ship(3)).then_emits([]);
    let cancelled = |cds| ShipmentEvent::Cancelled { cds };
    given::<Shipment>([scheduled()]).when(AnswerCancellation {}).then_emits([cancelled(3)]);
    given::<Shipment>([]).when(AnswerCancellation {}).then_emits([cancelled(0)]);
    given::<Shipment>([cancelled(0)]).when(ship(3)).then_emits([refused(3, "the shipment was cancelled before")]);
}

#[test]
fn the_totals_are_the_same_however_often_they_are_counted() {
    let cancelled = |cds| ShipmentEvent::Cancelled { cds };
    let events = [
        ("shipment-1", scheduled()),
        ("shipment-2", scheduled()),
        ("shipment-2", cancelled(3)),
        ("shipment-3", cancelled(0)),
    ];
    given_view(Parcels, events).replayed_twice().then(|view| {
        let totals = ShippingTotals { parcels: 1, cds: 3, refused: 0, cancelled: 1 };
        assert_eq!(view.get(&TOTALS, &()), Ok(Some(totals)));
    });
}
