//! Work on all processors, with results in the order of the input.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Below so many bytes a second thread costs more than it saves.
const WORTH: usize = 128 << 10;

/// Applies a function to consecutive parts of the items, each of about the same weight in bytes, one part a processor.
pub(super) fn by_parts<T: Sync, R: Send>(
    items: &[T],
    weight: impl Fn(&T) -> usize,
    work: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    let total: usize = items.iter().map(&weight).sum();
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    if total < WORTH || threads < 2 || items.len() < 2 {
        return vec![work(items)];
    }
    let mut parts = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for (at, item) in items.iter().enumerate() {
        sum += weight(item);
        if sum >= total.div_ceil(threads) {
            parts.push(&items[start..=at]);
            (start, sum) = (at + 1, 0);
        }
    }
    if start < items.len() {
        parts.push(&items[start..]);
    }
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = parts.into_iter().map(|part| (part, scope.spawn(move || work(part)))).collect();
        // A thread cannot end early but by a panic, which nothing here does; then the part is done again.
        threads.into_iter().map(|(part, thread)| thread.join().unwrap_or_else(|_| work(part))).collect()
    })
}

/// Applies a function to each of a few items that differ much in how long they take: whoever is done takes the next one.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(items.len());
    let (next, work) = (AtomicUsize::new(0), &work);
    let take = || {
        let indexes =
            std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|index| *index < items.len());
        indexes.map(|index| (index, work(&items[index]))).collect::<Vec<_>>()
    };
    let mut made: Vec<Option<R>> = items.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        for (index, result) in threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()) {
            made[index] = Some(result);
        }
    });
    // A thread cannot end early but by a panic, which nothing here does; then what it had is done again.
    made.into_iter().zip(items).map(|(result, item)| result.unwrap_or_else(|| work(item))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays_and_nothing_is_lost() {
        for count in [0, 1, 2, 7, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let parts = by_parts(&items, |_| 1 << 10, <[usize]>::to_vec);
            assert_eq!(parts.concat(), items);
            assert_eq!(each(&items, |item| *item), items);
        }
    }
}
