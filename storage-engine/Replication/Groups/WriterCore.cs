using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Nephos.Replication.Groups;

public enum WriterState
{
    /// <summary>Asking a majority to refuse older writers.</summary>
    Sealing,

    /// <summary>Bringing the best log it found, and an entry of its own epoch behind it, to a majority.</summary>
    Reconciling,

    /// <summary>Taking proposals.</summary>
    Serving,

    /// <summary>A later writer exists, or the source of the log was lost: this one will never complete anything again.</summary>
    Deposed,
}

public enum WriterEffectKind
{
    /// <summary>Send <see cref="WriterEffect.Request"/> to <see cref="WriterEffect.Replica"/>.</summary>
    Send,

    /// <summary>Everything up to sequence <see cref="WriterEffect.Number"/> is decided.</summary>
    Committed,

    /// <summary>Give <see cref="WriterEffect.Replica"/> a full copy, then report <see cref="WriterCore.Installed"/>.</summary>
    Install,

    StateChanged,
}

public readonly record struct WriterEffect(WriterEffectKind Kind, ReplicaId Replica, ReplicaRequest? Request, ulong Number);

/// <summary>
/// The one writer of a group at one epoch: seals, reconciles, replicates, decides. Takes events and gives effects; does no IO and
/// knows no time but the ticks it is given. One caller at a time.
/// </summary>
/// <remarks>
/// Takeover: the configuration master has granted the epoch. A majority is sealed; of the sealed logs the one with the
/// greatest last position holds every decided entry, because every decided entry is on a majority. It becomes the
/// source, an empty entry of this epoch is put behind it, and once that is on a majority all before it is decided too. Entries
/// of older epochs are never counted by themselves.
/// </remarks>
public sealed class WriterCore
{
    /// <summary>Entries kept in memory for replicas that are a little behind; those further behind are served from the source's log.</summary>
    public const int WindowEntriesMax = 1024;

    /// <summary>Members and learners of a group.</summary>
    public const int ReplicasMax = 16;

    /// <summary>Entries in one append.</summary>
    public const int AppendEntriesMax = 64;

    /// <summary>Bytes of entries in one append, but for a single one that is larger.</summary>
    public const int AppendBytesMax = 4 << 20;

    private const int ResendTicks = 5;
    private readonly Dictionary<ReplicaId, Peer> _peers = [];
    private readonly List<LogEntry> _window = [];
    private readonly int _majority;
    private ReplicaId _source;
    private LogPosition _tail;
    private ulong _windowFirst;

    public WriterCore(ulong epoch, IEnumerable<ReplicaId> members, IEnumerable<ReplicaId> learners)
    {
        Epoch = epoch;
        foreach (var member in members)
        {
            _peers.Add(member, new Peer(member, IsMember: true));
        }

        foreach (var learner in learners)
        {
            _peers.TryAdd(learner, new Peer(learner, IsMember: false));
        }

        ArgumentOutOfRangeException.ThrowIfGreaterThan(_peers.Count, ReplicasMax);
        _majority = (_peers.Values.Count(p => p.IsMember) / 2) + 1;
    }

    public ulong Epoch { get; }

    public WriterState State { get; private set; }

    /// <summary>Decided by this writer; 0 before its first decision.</summary>
    public ulong Committed { get; private set; }

    /// <summary>The newest entry of the log.</summary>
    public ulong Last { get; private set; }

    /// <summary>Up to where a replica's log is known to agree.</summary>
    public ulong MatchedBy(ReplicaId replica) => _peers.TryGetValue(replica, out var peer) ? peer.Match : 0;

    public bool IsReachable(ReplicaId replica) => _peers.TryGetValue(replica, out var peer) && peer.IsReachable;

    public void Start(List<WriterEffect> effects)
    {
        foreach (var peer in _peers.Values)
        {
            Send(peer, new ReplicaRequest.Seal(Epoch), effects);
        }
    }

    /// <summary>Adds an entry and sends it; decided when a <c>Committed</c> effect reaches the returned sequence.</summary>
    public ulong Propose(ReadOnlyMemory<byte> body, List<WriterEffect> effects)
    {
        if (State != WriterState.Serving)
        {
            throw new InvalidOperationException($"A writer that is {State} takes no proposals.");
        }

        return Add(body, effects);
    }

    public void Receive(ReplicaId from, ReplicaReply reply, List<WriterEffect> effects)
    {
        if (State == WriterState.Deposed || !_peers.TryGetValue(from, out var peer) || reply.Epoch != Epoch)
        {
            return;
        }

        peer.IsReachable = true;
        peer.IsWaiting = false;
        switch (reply)
        {
            case ReplicaReply.Refused refused when refused.Promised > Epoch:
                Change(WriterState.Deposed, effects);
                break;
            case ReplicaReply.Sealed answer:
                OnSealed(peer, answer, effects);
                break;
            case ReplicaReply.Appended appended:
                OnAppended(peer, appended.Matched, effects);
                break;
            case ReplicaReply.Mismatch mismatch when peer.Sealed is not null && mismatch.Hint < peer.Next && peer.Match <= mismatch.Hint:
                peer.Next = mismatch.Hint + 1;
                peer.IsStreaming = false;
                Advance(peer, effects);
                break;
            case ReplicaReply.Entries entries:
                OnEntries(entries, effects);
                break;
            case ReplicaReply.Trimmed trimmed when _peers.TryGetValue(trimmed.For, out var behind) && !behind.IsInstalling:
                OnTrimmed(behind, trimmed.TrimmedTo, effects);
                break;
        }
    }

    /// <summary>A request could not be delivered or answered.</summary>
    public void Unreachable(ReplicaId replica, List<WriterEffect> effects)
    {
        if (State == WriterState.Deposed || !_peers.TryGetValue(replica, out var peer))
        {
            return;
        }

        (peer.IsReachable, peer.IsStreaming, peer.IsWaiting, peer.Ticks) = (false, false, false, 0);
        // Until the log is reconciled only the source is known to hold all of it; without it, only a new takeover can find out what is left.
        if (State == WriterState.Reconciling && replica == _source)
        {
            Change(WriterState.Deposed, effects);
        }
    }

    /// <summary>Brings a replica up to date that does not count yet.</summary>
    public void AddLearner(ReplicaId replica, List<WriterEffect> effects)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(_peers.Count, ReplicasMax);
        if (State != WriterState.Deposed && _peers.TryAdd(replica, new Peer(replica, IsMember: false)))
        {
            Send(_peers[replica], new ReplicaRequest.Seal(Epoch), effects);
        }
    }

    /// <summary>Forgets a replica that was to become a member and will not.</summary>
    public void RemoveLearner(ReplicaId replica)
    {
        if (_peers.TryGetValue(replica, out var peer) && !peer.IsMember)
        {
            _peers.Remove(replica);
        }
    }

    /// <summary>
    /// True when the group may go on with other members: everything is decided, and a majority of the new members has it.
    /// The caller makes no proposal from asking this until the new configuration is committed, and then takes over with it.
    /// </summary>
    public bool CanContinueWith(IReadOnlyCollection<ReplicaId> members) =>
        State == WriterState.Serving
        && Committed == Last
        && members.Count(m => MatchedBy(m) == Last) >= (members.Count / 2) + 1;

    /// <summary>A full copy was made: the replica's log now begins after this position.</summary>
    public void Installed(ReplicaId replica, LogPosition position, List<WriterEffect> effects)
    {
        if (State != WriterState.Deposed && _peers.TryGetValue(replica, out var peer))
        {
            peer.IsInstalling = false;
            peer.Next = position.Sequence + 1;
            peer.Sealed ??= position;
            Advance(peer, effects);
        }
    }

    /// <summary>The copy could not be made; it is asked for again when the replica shows that it lacks entries.</summary>
    public void InstallFailed(ReplicaId replica)
    {
        if (_peers.TryGetValue(replica, out var peer))
        {
            (peer.IsInstalling, peer.IsReachable) = (false, false);
        }
    }

    /// <summary>It serves, and every replica is known to have the whole log: ticks may come seldom.</summary>
    public bool IsSettled =>
        State == WriterState.Serving && Committed == Last && _peers.Values.All(peer => peer is { IsReachable: true, IsInstalling: false } && peer.Match == Last);

    /// <summary>Asks again whoever did not answer, and tells everyone what is decided. Call it about twenty times a second.</summary>
    public void Tick(List<WriterEffect> effects)
    {
        foreach (var peer in _peers.Values)
        {
            if (State == WriterState.Deposed || peer.IsInstalling || ++peer.Ticks < ResendTicks)
            {
                continue;
            }

            peer.Ticks = 0;
            if (peer.Sealed is null)
            {
                Send(peer, new ReplicaRequest.Seal(Epoch), effects);
            }
            else if (State != WriterState.Sealing)
            {
                if (peer.Match < Last)
                {
                    // Lost on the way, or slow; taking an entry twice does no harm.
                    peer.IsStreaming = false;
                    peer.IsWaiting = false;
                    peer.Next = Math.Min(peer.Next, peer.Match > 0 ? peer.Match + 1 : _tail.Sequence + 1);
                }

                peer.IsWaiting = false;
                Advance(peer, effects, heartbeat: true);
            }
        }
    }

    private void OnSealed(Peer peer, ReplicaReply.Sealed answer, List<WriterEffect> effects)
    {
        if (peer.Sealed is not null)
        {
            return;
        }

        peer.Sealed = answer.Last;
        if (State != WriterState.Sealing)
        {
            peer.Next = Math.Min(answer.Last.Sequence, _tail.Sequence) + 1;
            Advance(peer, effects);
            return;
        }

        var answered = _peers.Values.Where(p => p.IsMember && p.Sealed is not null).ToList();
        if (answered.Count < _majority)
        {
            return;
        }

        var best = answered.MaxBy(p => p.Sealed!.Value)!;
        _source = best.Id;
        _tail = best.Sealed!.Value;
        Last = _tail.Sequence;
        _windowFirst = Last + 1;
        Change(WriterState.Reconciling, effects);
        foreach (var known in _peers.Values.Where(p => p.Sealed is not null))
        {
            known.Next = Math.Min(known.Sealed!.Value.Sequence, _tail.Sequence) + 1;
        }

        Add(ReadOnlyMemory<byte>.Empty, effects);
    }

    private ulong Add(ReadOnlyMemory<byte> body, List<WriterEffect> effects)
    {
        Last++;
        _window.Add(new LogEntry(new LogPosition(Epoch, Last), body));
        TrimWindow();

        foreach (var peer in _peers.Values)
        {
            if (peer.Sealed is not null && peer.IsReachable && !peer.IsInstalling)
            {
                Advance(peer, effects);
            }
        }

        return Last;
    }

    private void OnAppended(Peer peer, ulong matched, List<WriterEffect> effects)
    {
        if (peer.Sealed is null)
        {
            return;
        }

        peer.Match = Math.Max(peer.Match, matched);
        peer.Next = Math.Max(peer.Next, peer.Match + 1);
        peer.IsStreaming |= peer.Match >= _windowFirst - 1;
        Decide(effects);
        if (peer.Next <= Last)
        {
            Advance(peer, effects);
        }
    }

    private void Decide(List<WriterEffect> effects)
    {
        Span<ulong> matches = stackalloc ulong[ReplicasMax];
        var count = 0;
        foreach (var peer in _peers.Values)
        {
            if (peer.IsMember)
            {
                matches[count++] = peer.Match;
            }
        }

        matches = matches[..count];
        matches.Sort();
        var decided = matches[count - _majority];
        if (decided <= Committed || decided <= _tail.Sequence)
        {
            return;
        }

        Committed = decided;
        if (State == WriterState.Reconciling)
        {
            Change(WriterState.Serving, effects);
        }

        effects.Add(new WriterEffect(WriterEffectKind.Committed, default, null, Committed));
    }

    /// <summary>Sends a replica what it lacks next: from memory, or by way of the source's log.</summary>
    private void Advance(Peer peer, List<WriterEffect> effects, bool heartbeat = false)
    {
        if ((!peer.IsStreaming && peer.IsWaiting) || peer.IsInstalling)
        {
            return;
        }

        if (peer.Next < _windowFirst)
        {
            if (SourceFor(peer) is { } source)
            {
                peer.IsWaiting = true;
                Send(source, new ReplicaRequest.Read(Epoch, peer.Next, peer.Id), effects);
            }

            return;
        }

        while (peer.Next <= Last || heartbeat)
        {
            heartbeat = false;
            var start = (int)(peer.Next - _windowFirst);
            var count = CountToSend(start);
            var entries = ImmutableArray.Create(CollectionsMarshal.AsSpan(_window).Slice(start, count));
            var previous = peer.Next - 1 <= _tail.Sequence ? _tail : new LogPosition(Epoch, peer.Next - 1);
            Send(peer, new ReplicaRequest.Append(Epoch, previous, entries, Committed), effects);
            if (!peer.IsStreaming)
            {
                peer.IsWaiting = true;
                return;
            }

            peer.Next += (ulong)count;
        }
    }

    private int CountToSend(int start)
    {
        var (count, bytes) = (0, 0L);
        while (count < AppendEntriesMax && start + count < _window.Count && (count == 0 || bytes + _window[start + count].Body.Length <= AppendBytesMax))
        {
            bytes += _window[start + count++].Body.Length;
        }

        return count;
    }

    /// <summary>A replica that is known to hold what another lacks: one that agrees beyond it, or the source for what came before this epoch.</summary>
    private Peer? SourceFor(Peer behind)
    {
        Peer? best = null;
        foreach (var peer in _peers.Values)
        {
            if (peer.IsReachable && peer.Match >= behind.Next && peer.Match > _tail.Sequence && peer.Match > (best?.Match ?? 0))
            {
                best = peer;
            }
        }

        return best ?? (behind.Next <= _tail.Sequence && behind.Id != _source ? _peers[_source] : null);
    }

    /// <summary>Decided entries are on a majority and can be read from there.</summary>
    private void TrimWindow()
    {
        if (_window.Count > WindowEntriesMax)
        {
            var dropped = (int)Math.Min((ulong)WindowEntriesMax / 2, Committed + 1 > _windowFirst ? Committed + 1 - _windowFirst : 0);
            _window.RemoveRange(0, dropped);
            _windowFirst += (ulong)dropped;
        }
    }

    private void OnEntries(ReplicaReply.Entries entries, List<WriterEffect> effects)
    {
        if (!_peers.TryGetValue(entries.For, out var peer) || peer.IsInstalling)
        {
            return;
        }

        peer.IsWaiting = false;
        if (entries.Items.IsEmpty || entries.Previous.Sequence + 1 != peer.Next)
        {
            return; // Late; the next tick asks again.
        }

        peer.IsWaiting = true;
        Send(peer, new ReplicaRequest.Append(Epoch, entries.Previous, entries.Items, Committed), effects);
    }

    /// <summary>A mismatch names a place that is surely common, not the last one: the logs may still agree where the source's begins.</summary>
    private void OnTrimmed(Peer behind, LogPosition trimmedTo, List<WriterEffect> effects)
    {
        if (behind.TriedAt != trimmedTo && behind.Next <= trimmedTo.Sequence)
        {
            behind.TriedAt = trimmedTo;
            behind.Next = trimmedTo.Sequence + 1;
            behind.IsWaiting = true;
            Send(behind, new ReplicaRequest.Append(Epoch, trimmedTo, [], Committed), effects);
            return;
        }

        behind.TriedAt = null;
        behind.IsInstalling = true;
        effects.Add(new WriterEffect(WriterEffectKind.Install, behind.Id, null, 0));
    }

    private static void Send(Peer peer, ReplicaRequest request, List<WriterEffect> effects) =>
        effects.Add(new WriterEffect(WriterEffectKind.Send, peer.Id, request, 0));

    private void Change(WriterState state, List<WriterEffect> effects)
    {
        State = state;
        effects.Add(new WriterEffect(WriterEffectKind.StateChanged, default, null, 0));
    }

    /// <summary>What the writer knows of one replica.</summary>
    private sealed record Peer(ReplicaId Id, bool IsMember)
    {
        /// <summary>The end of its log when it was sealed.</summary>
        public LogPosition? Sealed { get; set; }

        /// <summary>The next entry to send.</summary>
        public ulong Next { get; set; } = 1;

        /// <summary>Its log agrees up to here.</summary>
        public ulong Match { get; set; }

        /// <summary>Entries are sent as they come, without waiting for the answer before.</summary>
        public bool IsStreaming { get; set; }

        /// <summary>The start of the source's log, once it was tried as a common place.</summary>
        public LogPosition? TriedAt { get; set; }

        public bool IsWaiting { get; set; }

        public bool IsInstalling { get; set; }

        public bool IsReachable { get; set; } = true;

        public int Ticks { get; set; }
    }
}
