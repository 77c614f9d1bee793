use annalist::testing::{given, given_view};

use super::{AnswerRelease, AnswerReservation, InventoryTotals, Shelves, TOTALS};
use crate::{
    domain::OrderId,
    fulfilment::{Stock, StockEvent},
};

const ORDER: OrderId = OrderId(17);

#[test]
fn every_request_is_answered_by_an_event() {
    let delivered = || StockEvent::Delivered { cds: 5 };
    let reserved = || StockEvent::Reserved { order: ORDER, cds: 3 };
    let reserve = |order, cds| AnswerReservation { order, cds };
    given::<Stock>([delivered()]).when(reserve(ORDER, 3)).then_emits([reserved()]);
    given::<Stock>([delivered(), reserved()]).when(reserve(OrderId(27), 3)).then_emits([StockEvent::Refused {
        order: OrderId(27),
        cds: 3,
        available: 2,
    }]);
    let release = || AnswerRelease { order: ORDER };
    let released = |cds| StockEvent::Released { order: ORDER, cds };
    given::<Stock>([delivered(), reserved()]).when(release()).then_emits([released(3)]);
    given::<Stock>([delivered(), reserved(), released(3)]).when(release()).then_emits([released(0)]);
    given::<Stock>([]).when(release()).then_emits([released(0)]);
}

#[test]
fn the_totals_are_the_same_however_often_they_are_counted() {
    let reserved = |order| StockEvent::Reserved { order, cds: 3 };
    let events = [
        StockEvent::Delivered { cds: 7 },
        reserved(ORDER),
        reserved(OrderId(27)),
        StockEvent::Refused { order: OrderId(37), cds: 3, available: 1 },
        StockEvent::Released { order: ORDER, cds: 3 },
        StockEvent::Released { order: ORDER, cds: 0 },
    ];
    given_view(Shelves, events).replayed_twice().then(|view| {
        let totals =
            InventoryTotals { delivered_cds: 7, reserved_orders: 1, reserved_cds: 3, released_orders: 1, refused: 1 };
        assert_eq!(view.get(&TOTALS, &()), Ok(Some(totals)));
    });
}
