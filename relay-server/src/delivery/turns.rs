//! One live exchange at a time where order is strict, in the order in which they came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::OwnedMutexGuard;

use crate::model::DestinationId;

type Door = tokio::sync::Mutex<()>;

/// Whose turn it is, destination by destination. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    // An entry for each strict destination that ever had an exchange, empty while there is none.
    doors: Arc<Mutex<HashMap<DestinationId, Weak<Door>>>>,
}

/// The one whose turn it is. The next one's comes when it is dropped.
#[derive(Debug)]
pub struct Turn {
    _door: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits behind everybody who came before.
    pub async fn wait(&self, destination: DestinationId) -> Turn {
        let door = {
            let mut doors = self.doors.lock().expect("nothing panics while it holds the list");
            let known = doors.entry(destination).or_default();
            known.upgrade().unwrap_or_else(|| {
                let door = Arc::new(Door::default());
                *known = Arc::downgrade(&door);
                door
            })
        };
        Turn { _door: door.lock_owned().await }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn turns_come_in_the_order_in_which_they_were_waited_for() {
        let turns = Turns::default();
        let first = turns.wait(DestinationId(1)).await;
        let mut second = Box::pin(turns.wait(DestinationId(1)));
        let mut third = Box::pin(turns.wait(DestinationId(1)));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        assert!(turns.wait(DestinationId(2)).now_or_never().is_some(), "another destination");
        drop(first);
        assert!((&mut third).now_or_never().is_none(), "behind the second");
        let second = second.now_or_never().expect("its turn");
        drop(second);
        assert!(third.now_or_never().is_some());
    }
}
