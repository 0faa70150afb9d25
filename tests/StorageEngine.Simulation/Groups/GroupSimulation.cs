using System.Collections.Immutable;
using Nephos.Replication.Groups;

namespace Nephos.StorageEngine.Simulation.Groups;

/// <summary>
/// A group with one writer on several nodes, all in one thread and from one seed: messages are delayed, lost, repeated and
/// overtake each other; links break; nodes crash with writes under way; disks are lost; writers take over from each other.
/// Then everything heals, and what was acknowledged must be there, the same on every replica.
/// </summary>
internal sealed class GroupSimulation
{
    private readonly Random _random;
    private readonly History _history = new();
    private readonly PriorityQueue<Action, (long Time, long Order)> _events = new();
    private readonly List<Node> _nodes = [];
    private readonly HashSet<(int, int)> _broken = [];
    private GroupConfiguration _configuration;
    private long _now;
    private long _order;
    private ulong _nextOperation = 1;
    private int _nextReplica = 1;
    private bool _healing;

    private GroupSimulation(int seed, int nodeCount)
    {
        _random = new Random(seed);
        for (var n = 0; n < nodeCount; n++)
        {
            _nodes.Add(new Node(n, NewReplica()));
        }

        _configuration = new GroupConfiguration(Guid.Empty, 0, "", [.. _nodes.Take(3).Select(n => n.Replica.Id)]);
    }

    /// <summary>Runs one seed; returns how many operations were acknowledged.</summary>
    public static int Run(int seed)
    {
        var simulation = new GroupSimulation(seed, nodeCount: 3 + (seed % 2));
        simulation.Play(steps: 3000);
        simulation.Heal();
        return simulation._history.AcknowledgedCount;
    }

    private void Play(int steps)
    {
        foreach (var node in _nodes)
        {
            At(_random.Next(20), () => Tick(node));
        }

        At(0, () => TakeOver(_nodes[0]));
        for (var step = 0; step < steps && _events.Count > 0; step++)
        {
            Next();
            if (_random.Next(4) == 0)
            {
                Propose();
            }

            Disturb();
        }
    }

    private void Disturb()
    {
        var node = _nodes[_random.Next(_nodes.Count)];
        switch (_random.Next(400))
        {
            case 0 or 1 when node.Replica.IsUp:
                Crash(node);
                At(_random.Next(300), () => Restart(node));
                break;
            case 2 or 3:
                var link = (_random.Next(_nodes.Count), _random.Next(_nodes.Count));
                _broken.Add(link);
                At(_random.Next(400), () => _broken.Remove(link));
                break;
            case 4 or 5 or 6:
                TakeOver(node);
                break;
            case 7 when node.Replica.IsUp:
                node.Replica.Trim(node.Replica.Applied - (ulong)Math.Min(_random.Next(6), (int)node.Replica.Applied));
                break;
            case 8 when node.Replica.IsUp && CanLose(node):
                LoseDisk(node);
                break;
        }
    }

    /// <summary>The loss is survivable: every other member still has its disk.</summary>
    private bool CanLose(Node node) =>
        _configuration.Members.Contains(node.Replica.Id)
        && _configuration.Members.All(m => _nodes.Any(n => n.Replica.Id == m));

    private void LoseDisk(Node node)
    {
        Crash(node);
        node.Replica = NewReplica();
        At(_random.Next(300), () => Restart(node));
    }

    private void Heal()
    {
        _healing = true;
        _broken.Clear();
        foreach (var node in _nodes)
        {
            Restart(node);
        }

        TakeOver(_nodes[_random.Next(_nodes.Count)]);
        var limit = _now + 20_000;
        while (_now < limit && !IsHealthy())
        {
            Next();
        }

        if (!IsHealthy())
        {
            throw new SimulationException("The group does not heal: " + Describe());
        }

        _history.CheckAcknowledged();
        var members = _nodes.Where(n => _configuration.Members.Contains(n.Replica.Id)).Select(n => n.Replica).ToList();
        foreach (var replica in members)
        {
            if (!replica.State.SequenceEqual(_history.StateAt(replica.Applied)) || replica.Applied != members[0].Applied)
            {
                throw new SimulationException($"{replica.Id} differs from the others.");
            }
        }
    }

    private bool IsHealthy()
    {
        var writer = _nodes.FirstOrDefault(n => n.Writer is { State: WriterState.Serving } w && w.Epoch == _configuration.Epoch)?.Writer;
        return writer is not null
            && _configuration.Members.All(m => _nodes.Any(n => n.Replica.Id == m && n.Replica.IsUp && n.Replica.Applied == writer.Last));
    }

    private string Describe() =>
        $"epoch {_configuration.Epoch}, members {string.Join(' ', _configuration.Members)}; " + string.Join("; ", _nodes.Select(n =>
            $"node {n.Number}: {n.Replica.Id} {(n.Replica.IsUp ? $"last {n.Replica.Last}, applied {n.Replica.Applied}" : "down")}"
            + (n.Writer is { } w ? $", writer {w.Epoch} {w.State} last {w.Last} decided {w.Committed}, matches "
                + string.Join(' ', _nodes.Select(m => w.MatchedBy(m.Replica.Id))) : "")));

    private void Propose()
    {
        var node = _nodes[_random.Next(_nodes.Count)];
        if (!_healing && node.Writer is { State: WriterState.Serving } writer && node.Replacing is null)
        {
            var operation = _nextOperation++;
            var effects = new List<WriterEffect>();
            node.Proposed[writer.Propose(BitConverter.GetBytes(operation), effects)] = operation;
            Carry(node, writer, effects);
        }
    }

    private void Tick(Node node)
    {
        At(20, () => Tick(node));
        if (node.Writer is not { } writer)
        {
            // Somebody takes over in the end: the group must not depend on the test's whim.
            if (_healing && _random.Next(20) == 0 && !_nodes.Any(n => n.Writer is { } w && w.Epoch == _configuration.Epoch))
            {
                TakeOver(node);
            }

            return;
        }

        var effects = new List<WriterEffect>();
        writer.Tick(effects);
        ReplaceLost(node, writer, effects);
        Carry(node, writer, effects);
    }

    /// <summary>The writer brings a fresh replica up to date in the place of a member that is gone for good.</summary>
    private void ReplaceLost(Node node, WriterCore writer, List<WriterEffect> effects)
    {
        if (writer.State != WriterState.Serving || writer.Epoch != _configuration.Epoch)
        {
            return;
        }

        var lost = _configuration.Members.FirstOrDefault(m => _nodes.All(n => n.Replica.Id != m));
        if (lost == default)
        {
            return;
        }

        var fresh = _nodes.First(n => !_configuration.Members.Contains(n.Replica.Id)).Replica.Id;
        writer.AddLearner(fresh, effects);
        ImmutableArray<ReplicaId> members = [.. _configuration.Members.Where(m => m != lost), fresh];
        if (writer.MatchedBy(fresh) == writer.Last && writer.CanContinueWith(members))
        {
            node.Replacing = fresh;
            TakeOver(node, members);
        }
    }

    private void TakeOver(Node node, ImmutableArray<ReplicaId>? members = null)
    {
        if (!node.Replica.IsUp && members is null)
        {
            return;
        }

        var seen = _configuration;
        At(_random.Next(30), () =>
        {
            node.Replacing = null;
            if (_configuration != seen || node.IsDown)
            {
                return; // Another was faster.
            }

            _configuration = seen with { Epoch = seen.Epoch + 1, Writer = $"{node.Number}", Members = members ?? seen.Members };
            node.Proposed.Clear();
            node.Writer = new WriterCore(_configuration.Epoch, _configuration.Members, []);
            var effects = new List<WriterEffect>();
            node.Writer.Start(effects);
            Carry(node, node.Writer, effects);
        });
    }

    private void Carry(Node node, WriterCore writer, List<WriterEffect> effects)
    {
        foreach (var effect in effects)
        {
            switch (effect.Kind)
            {
                case WriterEffectKind.Send:
                    Send(node, writer, effect.Replica, effect.Request!);
                    break;
                case WriterEffectKind.Install:
                    Install(node, writer, effect.Replica);
                    break;
                case WriterEffectKind.Committed:
                    foreach (var (sequence, operation) in node.Proposed.Where(p => p.Key <= effect.Number).ToList())
                    {
                        _history.Acknowledged(operation, sequence);
                        node.Proposed.Remove(sequence);
                    }

                    break;
                case WriterEffectKind.StateChanged when writer.State == WriterState.Deposed && node.Writer == writer:
                    node.Writer = null;
                    break;
            }
        }
    }

    private void Send(Node from, WriterCore writer, ReplicaId to, ReplicaRequest request)
    {
        var target = _nodes.FirstOrDefault(n => n.Replica.Id == to);
        var copies = Loses(from.Number, target) ? 0 : !_healing && _random.Next(20) == 0 ? 2 : 1;
        if (copies == 0)
        {
            if (_random.Next(2) == 0)
            {
                At(5, () => Tell(from, writer, (w, effects) => w.Unreachable(to, effects)));
            }

            return;
        }

        for (var copy = 0; copy < copies; copy++)
        {
            At(Delay(), () => Deliver(from, writer, target!, to, request));
        }
    }

    private void Deliver(Node from, WriterCore writer, Node target, ReplicaId to, ReplicaRequest request)
    {
        var replica = target.Replica;
        if (!replica.IsUp || replica.Id != to)
        {
            return;
        }

        var life = replica.Life;
        var reply = replica.Step(request, out var effects);
        // The disk works in order: an answer waits for all that came before it.
        target.DiskFreeAt = Math.Max(target.DiskFreeAt, _now) + (effects == 0 ? 0 : 1 + _random.Next(10));
        At(target.DiskFreeAt - _now, () =>
        {
            if (replica.Life != life)
            {
                return;
            }

            replica.Persist(effects);
            if (!Loses(target.Number, from))
            {
                At(Delay(), () => Tell(from, writer, (w, list) => w.Receive(to, reply, list)));
            }
        });
    }

    private void Install(Node node, WriterCore writer, ReplicaId to)
    {
        var target = _nodes.FirstOrDefault(n => n.Replica.Id == to);
        var source = _nodes
            .Where(n => n.Replica.IsUp && writer.MatchedBy(n.Replica.Id) > 0 && n.Replica.Id != to)
            .MaxBy(n => n.Replica.Applied);
        At(50, () =>
        {
            if (node.Writer != writer || target is null || target.Replica.Id != to || !target.Replica.IsUp
                || source is null || !source.Replica.IsUp
                || _random.Next(4) == 0)
            {
                writer.InstallFailed(to);
                return;
            }

            var position = target.Replica.InstallFrom(source.Replica, writer.Epoch);
            Tell(node, writer, (w, effects) => w.Installed(to, position, effects));
        });
    }

    private void Tell(Node node, WriterCore writer, Action<WriterCore, List<WriterEffect>> say)
    {
        if (node.Writer == writer)
        {
            var effects = new List<WriterEffect>();
            say(writer, effects);
            Carry(node, writer, effects);
        }
    }

    private void Crash(Node node)
    {
        node.Replica.Crash(_random.Next(node.Replica.PendingCount + 1));
        (node.Writer, node.IsDown) = (null, true);
        node.Proposed.Clear();
    }

    private void Restart(Node node)
    {
        if (!node.Replica.IsUp)
        {
            node.Replica.Restart();
        }

        node.IsDown = false;
    }

    private SimulatedReplica NewReplica() => new(new ReplicaId(new Guid(_nextReplica++, 0, 0, new byte[8])), _history);

    private bool Loses(int from, Node? to) =>
        to is null || _broken.Contains((from, to.Number)) || (!_healing && _random.Next(25) == 0);

    private int Delay() => 1 + _random.Next(_random.Next(10) == 0 ? 100 : 8);

    private void At(long delay, Action action) => _events.Enqueue(action, (_now + delay, _order++));

    private void Next()
    {
        if (_events.TryDequeue(out var action, out var at))
        {
            _now = at.Time;
            action();
        }
    }

    private sealed class Node(int number, SimulatedReplica replica)
    {
        public int Number { get; } = number;

        public SimulatedReplica Replica { get; set; } = replica;

        public WriterCore? Writer { get; set; }

        public ReplicaId? Replacing { get; set; }

        public bool IsDown { get; set; }

        public Dictionary<ulong, ulong> Proposed { get; } = [];

        public long DiskFreeAt { get; set; }
    }
}
