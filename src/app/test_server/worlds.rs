//! All worlds: made when they are named, forgotten when nobody calls them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore};

use super::super::StartError;
use super::world::{Shared, World};
use crate::auth::{AuthError, FieldViolation};
use crate::grpc::GrpcService;
use crate::http::EdgeService;
use crate::reason::Reason;
use crate::testing::{Stay, Visit, WORLD_HEADER, WorldName, WorldRegistry, Worlds};

/// How long nobody must have called a world that makes room for another, where there are as many as may be.
const MAKES_ROOM_AFTER: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct House {
    shared: Arc<Shared>,
    most: usize,
    idle: Duration,
    rooms: Mutex<HashMap<WorldName, Arc<Room>>>,
    /// How many are made at once: more would each take as long as all.
    making: Arc<Semaphore>,
    /// Worlds live here, and not where the call runs that is the first to name them.
    runtime: Handle,
    ourselves: Weak<Self>,
}

/// A world, or the place for one that is being made.
#[derive(Default)]
struct Room {
    world: OnceCell<Arc<World>>,
    /// How many calls are in it.
    inside: Arc<AtomicUsize>,
    /// Whether it was taken out, and no world may be made in it any more.
    retired: AtomicBool,
    /// When it was last entered, in milliseconds of the machine's monotonic clock.
    entered: AtomicU64,
}

/// There are as many worlds as there may be.
#[derive(Debug, thiserror::Error)]
#[error("there are {0} worlds, and somebody has called each of them lately")]
struct TooManyWorlds(usize);

impl House {
    pub(super) fn new(shared: Shared, most: usize, idle: Duration) -> Arc<Self> {
        Arc::new_cyclic(|ourselves| Self {
            shared: Arc::new(shared),
            most,
            idle,
            rooms: Mutex::default(),
            making: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from))),
            runtime: Handle::current(),
            ourselves: ourselves.clone(),
        })
    }

    /// The world of this name, which is made if there is none.
    pub(super) async fn open(&self, name: &WorldName) -> Result<Arc<World>, StartError> {
        let (room, _stay) = self.room(name).map_err(|full| StartError::World(full.into()))?;
        self.furnished(name, &room).await
    }

    /// Forgets the worlds that nobody is in and nobody has called for so long.
    pub(super) fn forget_idle(&self) {
        let (now, idle) = (self.now(), millis(self.idle));
        self.rooms().retain(|name, room| {
            let stays = !Self::is_idle(name, room, now, idle);
            if !stays {
                tracing::info!(world = %name, "a world was forgotten that nobody called");
                self.retire(room);
            }
            stays
        });
    }

    /// Forgets every world.
    pub(super) fn close(&self) {
        let rooms = std::mem::take(&mut *self.rooms());
        for room in rooms.into_values() {
            self.retire(&room);
        }
    }

    /// The room of a world, which has one more in it as long as the stay is held.
    fn room(&self, name: &WorldName) -> Result<(Arc<Room>, Stay), TooManyWorlds> {
        let mut rooms = self.rooms();
        if !rooms.contains_key(name) {
            if rooms.len() >= self.most {
                self.make_room(&mut rooms);
            }
            if rooms.len() >= self.most {
                return Err(TooManyWorlds(rooms.len()));
            }
            rooms.insert(name.clone(), Arc::default());
        }
        let room = Arc::clone(&rooms[name]);
        let stay = Stay::begin(&room.inside);
        room.entered.store(self.now(), Ordering::SeqCst);
        Ok((room, stay))
    }

    /// The world of a room; of several that enter first, one makes it. It is made to the end, whether or not they wait for it.
    async fn furnished(&self, name: &WorldName, room: &Arc<Room>) -> Result<Arc<World>, StartError> {
        if let Some(world) = room.world.get() {
            return Ok(Arc::clone(world));
        }
        let (name, room) = (name.clone(), Arc::clone(room));
        let (shared, making, ourselves) =
            (Arc::clone(&self.shared), Arc::clone(&self.making), self.ourselves.clone());
        let make = async move {
            let made = room.world.get_or_try_init(async || {
                let _turn = making.acquire().await;
                if room.retired.load(Ordering::SeqCst) {
                    return Err(StartError::World("it was forgotten before it was made".into()));
                }
                World::build(name, &shared, ourselves).await.map(Arc::new)
            });
            made.await.cloned()
        };
        let outcome = self.runtime.spawn(make).await;
        outcome.unwrap_or_else(|panicked| Err(StartError::World(panicked.into())))
    }

    /// Forgets the world that was called longest ago, if that is long enough ago.
    fn make_room(&self, rooms: &mut HashMap<WorldName, Arc<Room>>) {
        let idle = millis(self.idle.min(MAKES_ROOM_AFTER));
        let now = self.now();
        let idle = rooms.iter().filter(|(name, room)| Self::is_idle(name, room, now, idle));
        let longest = idle.min_by_key(|(_, room)| room.entered.load(Ordering::SeqCst));
        let Some(name) = longest.map(|(name, _)| name.clone()) else { return };
        if let Some(room) = rooms.remove(&name) {
            self.retire(&room);
        }
    }

    /// Whether nobody is in a world, nor was for so many milliseconds. The world of calls that name none always stays.
    fn is_idle(name: &WorldName, room: &Room, now: u64, idle: u64) -> bool {
        let entered = room.entered.load(Ordering::SeqCst);
        room.inside.load(Ordering::SeqCst) == 0
            && now.saturating_sub(entered) >= idle
            && *name != WorldName::default_world()
    }

    /// Frees what a room that is taken out holds.
    fn retire(&self, room: &Arc<Room>) {
        let room = Arc::clone(room);
        room.retired.store(true, Ordering::SeqCst);
        self.runtime.spawn(async move {
            // Waits for one that is being made.
            if let Ok(world) = room.world.get_or_try_init(async || Err(())).await {
                world.stop().await;
            }
        });
    }

    /// Milliseconds on the machine's monotonic clock.
    fn now(&self) -> u64 {
        millis(self.shared.clock().monotonic().0)
    }

    /// Nothing panics half way through a change of them.
    fn rooms(&self) -> MutexGuard<'_, HashMap<WorldName, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn visit<S>(
        &self,
        name: &WorldName,
        service: impl FnOnce(&World) -> S + Send,
    ) -> Result<Visit<S>, AuthError> {
        let (room, stay) = self.room(name)?;
        let world = self.furnished(name, &room).await.map_err(AuthError::internal)?;
        Ok(Visit { service: service(&world), control: world.control.clone(), stay })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Worlds<GrpcService> for House {
    async fn enter(&self, name: &WorldName) -> Result<Visit<GrpcService>, AuthError> {
        self.visit(name, |world| world.grpc.clone()).await
    }
}

#[async_trait]
impl Worlds<EdgeService> for House {
    async fn enter(&self, name: &WorldName) -> Result<Visit<EdgeService>, AuthError> {
        self.visit(name, |world| world.http.clone()).await
    }
}

impl From<TooManyWorlds> for AuthError {
    fn from(full: TooManyWorlds) -> Self {
        let mut error = Self::new(Reason::ServerOverloaded);
        error.violations.push(FieldViolation::new(WORLD_HEADER, full.to_string()));
        error
    }
}

/// The worlds, as a world sees them: it must not keep them.
pub(super) struct Registry(pub(super) Weak<House>);

impl Registry {
    fn house(&self) -> Result<Arc<House>, AuthError> {
        self.0.upgrade().ok_or_else(|| AuthError::internal("the test server has stopped"))
    }
}

#[async_trait]
impl WorldRegistry for Registry {
    async fn create(&self, name: WorldName) -> Result<bool, AuthError> {
        let house = self.house()?;
        if house.rooms().contains_key(&name) {
            return Ok(false);
        }
        let (room, _stay) = house.room(&name)?;
        house.furnished(&name, &room).await.map_err(AuthError::internal)?;
        Ok(true)
    }

    async fn reset(&self, name: &WorldName) -> Result<(), AuthError> {
        let house = self.house()?;
        self.delete(name);
        let (room, _stay) = house.room(name)?;
        house.furnished(name, &room).await.map_err(AuthError::internal)?;
        Ok(())
    }

    fn delete(&self, name: &WorldName) -> bool {
        let Ok(house) = self.house() else { return false };
        let room = house.rooms().remove(name);
        if let Some(room) = &room {
            house.retire(room);
        }
        room.is_some()
    }
}
