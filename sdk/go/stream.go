package countersign

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	countersignv1 "countersign.dev/go/countersign/v1"
)

// newFollower makes what takes in the server's messages.
func (v *Verifier) newFollower(pauses *pauses) *follower {
	return &follower{
		engine:   v.engine,
		clock:    v.options.Clock,
		patience: v.options.Patience,
		logger:   v.options.Logger,
		revoked:  v.tell,
		proven: func() {
			v.isReady.Do(func() { close(v.ready) })
			pauses.reset()
		},
	}
}

// follow follows the server through every loss of the connection, until ctx is over.
func (v *Verifier) follow(ctx context.Context, server countersignv1.RevocationServiceClient) {
	pauses := newPauses(v.options.MaxBackoff)
	follower := v.newFollower(pauses)
	for {
		err := v.followOnce(ctx, server, follower)
		if ctx.Err() != nil {
			return
		}
		follower.end(err)
		pause := pauses.draw()
		if errors.Is(err, io.EOF) {
			v.options.Logger.Debug("countersign: the server ended the stream of revocations; connecting again")
		} else {
			v.options.Logger.Warn("countersign: the stream of revocations was lost; connecting again",
				"error", err, "pause", pause)
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

const (
	// purgeEvery is how often what need not be remembered any more is forgotten.
	purgeEvery = 30 * time.Second
	// maxUnsent bounds what waits to be sent when the connection hangs.
	maxUnsent = 8
	// maxMessageBytes bounds one message of the server's.
	maxMessageBytes = 16 << 20
)

// followOnce follows one stream, from its beginning to its end, and returns why it ended.
func (v *Verifier) followOnce(ctx context.Context, server countersignv1.RevocationServiceClient, follower *follower) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	start, conversation := follower.start()
	defer conversation.giveUp()
	opening := time.AfterFunc(v.options.Patience, func() { cancel(errSilent) })
	stream, err := server.WatchRevocations(ctx, grpc.MaxCallRecvMsgSize(maxMessageBytes))
	if !opening.Stop() && err == nil {
		return errSilent
	}
	if err != nil {
		return causeOr(ctx, err)
	}
	say := make(chan *countersignv1.WatchRevocationsRequest, maxUnsent)
	say <- &countersignv1.WatchRevocationsRequest{
		Message: &countersignv1.WatchRevocationsRequest_Start{Start: start},
	}
	go sendAll(ctx, stream, say)
	told := make(chan *countersignv1.WatchRevocationsResponse)
	ended := make(chan error, 1)
	go receiveAll(ctx, stream, told, ended)

	send := func(ping *countersignv1.WatchPing) bool {
		select {
		case say <- &countersignv1.WatchRevocationsRequest{Message: &countersignv1.WatchRevocationsRequest_Ping{Ping: ping}}:
			return true
		default:
			return false
		}
	}
	ask := func() error {
		ping, sent, err := follower.ping(conversation)
		// With no room to send it in, the earlier ones stand for it.
		if err == nil && send(ping) {
			sent()
		}
		return err
	}
	if err := ask(); err != nil {
		return err
	}
	tick, purge := time.NewTicker(v.options.PingInterval), time.NewTicker(purgeEvery)
	defer tick.Stop()
	defer purge.Stop()
	for {
		var err error
		select {
		case message := <-told:
			err = follower.takeIn(message, conversation)
		case err = <-ended:
		case <-tick.C:
			err = ask()
		case asked := <-v.positions.asked:
			// With no room to send it in, the connection hangs.
			if ping, sent := conversation.askPosition(asked); send(ping) {
				sent()
			} else {
				close(asked.answer)
			}
		case <-purge.C:
			wall, _ := v.options.Clock.Now()
			v.engine.revocations.purge(wall.UnixMilli())
		}
		if err != nil {
			return err
		}
	}
}

// causeOr returns why ctx was ended by this package, where it was.
func causeOr(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}

// sendAll sends until the stream is over. A failure is seen where the stream is read.
func sendAll(
	ctx context.Context,
	stream countersignv1.RevocationService_WatchRevocationsClient,
	say <-chan *countersignv1.WatchRevocationsRequest,
) {
	for {
		select {
		case message := <-say:
			if stream.Send(message) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// receiveAll hands on what the server sends, one at a time, until the stream is over.
func receiveAll(
	ctx context.Context,
	stream countersignv1.RevocationService_WatchRevocationsClient,
	told chan<- *countersignv1.WatchRevocationsResponse,
	ended chan<- error,
) {
	for {
		message, err := stream.Recv()
		if err != nil {
			ended <- err
			return
		}
		select {
		case told <- message:
		case <-ctx.Done():
			return
		}
	}
}
