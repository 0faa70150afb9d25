using Nephos.Client.Transport;

namespace Nephos.StorageEngine.Simulation.Machine;

/// <summary>
/// The network of a simulated world. Every call and every answer takes a while of its own, so they overtake each other; some are lost, some
/// links are cut in one direction or in both, and whoever waits is told late that nothing came.
/// </summary>
internal sealed class SimulatedNetwork(Random random, SimulatedTime time)
{
    private readonly Dictionary<string, (SimulatedProcess Process, CallHandler Handler)> _listeners = [];
    private readonly HashSet<(string From, string To)> _cut = [];

    /// <summary>One in so many messages is lost; 0 loses none.</summary>
    public int LossOneIn { get; set; }

    public void Cut(string from, string to) => _cut.Add((from, to));

    public void Join(string from, string to) => _cut.Remove((from, to));

    public void JoinAll() => _cut.Clear();

    public IStorageTransport For(string name, SimulatedProcess process) => new Transport(this, name, process);

    /// <summary>Brings a message over, perhaps.</summary>
    private void Send(string from, string to, int bytes, Action arrive)
    {
        if (_cut.Contains((from, to)) || (LossOneIn > 0 && random.Next(LossOneIn) == 0))
        {
            return;
        }

        var slow = random.Next(40) == 0 ? random.Next(30_000) : 0;
        time.After(TimeSpan.FromMicroseconds(20 + random.Next(300) + slow + (bytes / 1000)), arrive);
    }

    private sealed class Transport(SimulatedNetwork network, string name, SimulatedProcess process) : IStorageTransport
    {
        public IAsyncDisposable Listen(StorageAddress address, CallHandler handler)
        {
            network._listeners[address.Path] = (process, handler);
            return new Listener(network, address.Path, process);
        }

        public IStorageChannel Open(StorageAddress address) => new Channel(network, name, process, address.Path);
    }

    private sealed class Listener(SimulatedNetwork network, string path, SimulatedProcess process) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            if (network._listeners.TryGetValue(path, out var listener) && listener.Process == process)
            {
                network._listeners.Remove(path);
            }

            return ValueTask.CompletedTask;
        }
    }

    private sealed class Channel(SimulatedNetwork network, string from, SimulatedProcess caller, string to) : IStorageChannel
    {
        public ValueTask<CallReply> CallAsync(StorageCall call)
        {
            var answer = new TaskCompletionSource<CallReply>(TaskCreationOptions.RunContinuationsAsynchronously);
            caller.Clock.After(call.Timeout, () => Fail("No answer came.", isOutcomeUnknown: true));
            var (head, payload) = (call.Head.ToArray(), call.Payload.ToArray());
            network.Send(from, to, head.Length + payload.Length, () =>
            {
                if (network._listeners.TryGetValue(to, out var listener) && listener.Process.HasPower)
                {
                    listener.Process.Scheduler.Post(() => _ = HandleAsync(listener.Process, listener.Handler, new IncomingCall(call.Method, head, payload)));
                }
                else
                {
                    network.Send(to, from, 0, () => Fail("Connection refused.", isOutcomeUnknown: false));
                }
            });
            return new ValueTask<CallReply>(answer.Task);

            async Task HandleAsync(SimulatedProcess process, CallHandler handler, IncomingCall incoming)
            {
                try
                {
                    var result = await handler(incoming);
                    var (replyHead, replyPayload) = (result.Head.ToArray(), result.Payload.ToArray());
                    result.Owner?.Dispose();
                    Reply(process, replyHead.Length + replyPayload.Length, () =>
                    {
                        replyPayload.CopyTo(call.Destination);
                        answer.TrySetResult(new CallReply(replyHead, replyPayload.Length));
                    });
                }
                catch (PowerLostException)
                {
                    // Nobody is left to answer.
                }
                catch (Exception failure)
                {
                    Reply(process, 0, () => answer.TrySetException(new StorageCallException($"{failure.GetType().Name}: {failure.Message}")));
                }
            }

            void Reply(SimulatedProcess process, int bytes, Action arrive)
            {
                if (process.HasPower)
                {
                    network.Send(to, from, bytes, () =>
                    {
                        // Memory of a call that was given up belongs to someone else.
                        if (caller.HasPower && !answer.Task.IsCompleted)
                        {
                            arrive();
                        }
                    });
                }
            }

            void Fail(string reason, bool isOutcomeUnknown)
            {
                if (caller.HasPower)
                {
                    answer.TrySetException(new StorageUnreachableException(reason, isOutcomeUnknown));
                }
            }
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
