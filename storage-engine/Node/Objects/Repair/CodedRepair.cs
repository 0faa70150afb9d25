using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects.Devices;
using Nephos.Placement;

namespace Nephos.Node.Objects.Repair;

/// <summary>Makes the fragments of one blob again from those that are left. Idempotent.</summary>
/// <remarks>No device ever gets two fragments of one frame; which home has which does not matter.</remarks>
internal sealed class CodedRepair(IBlobNode node, DeviceSet devices)
{
    private readonly IBlobNode _node = node;
    private readonly DeviceSet _devices = devices;
    private readonly byte[] _given = GC.AllocateUninitializedArray<byte>(Frames.FrameBytes, pinned: true);
    private readonly byte[] _made = GC.AllocateUninitializedArray<byte>(Frames.FrameBytes, pinned: true);
    private readonly ulong[] _checksums = new ulong[Frames.BlocksPerFrame];

    /// <summary>Fragments made so far.</summary>
    public long Repaired { get; private set; }

    /// <summary>Brings a blob back to a fragment on each home; then those elsewhere are no longer needed and are removed.</summary>
    /// <param name="verify">Read every fragment, not only the index: something said that one is damaged.</param>
    public async ValueTask<RepairOutcome> RunAsync(BlobId blob, long lengthBytes, bool verify, CancellationToken cancellationToken)
    {
        var ring = _node.Ring;
        var layout = BlobLayout.Of(blob.Scheme);
        var homes = layout.Homes(ring, blob);
        var others = ring.Devices.Select(d => d.Id).Except(homes).ToArray();
        var pieces = layout.PieceCount(ring);
        var (left, allHome) = (pieces, true);
        var doubled = homes.ToHashSet();
        var occupied = new HashSet<int>();
        for (uint frame = 0; frame < Frames.CountOf(lengthBytes); frame++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var state = new FrameState(this, ring, blob, layout, frame, Frames.SizeOf(lengthBytes, frame), homes, others);
            await state.LookAsync(verify);
            await state.RepairAsync();
            left = Math.Min(left, state.PieceCount);
            allHome &= state.IsHome;
            doubled.RemoveWhere(device => !state.IsElsewhere(device));
            occupied.UnionWith(state.Occupied);
        }

        if (allHome)
        {
            foreach (var other in others)
            {
                await _node.DeleteBlobAsync(other, blob);
            }
        }
        else if (left >= layout.NeededCount && doubled.Where(occupied.Contains).Order().FirstOrDefault(-1) is >= 0 and var spare)
        {
            // Two homes may have the same fragments, since one came back after another stood in for it: one makes room. Only what was read
            // just now counts as being elsewhere.
            if (!verify || await _node.DeleteBlobAsync(spare, blob) == BlobStatus.Ok)
            {
                return await RunAsync(blob, lengthBytes, verify: true, cancellationToken);
            }
        }

        return left >= pieces ? RepairOutcome.Safe
            : left > layout.NeededCount ? RepairOutcome.AtRisk
            : left == layout.NeededCount ? RepairOutcome.WithoutSpare
            : RepairOutcome.Missing;
    }

    /// <summary>Which device has which good fragment of one frame.</summary>
    private sealed class FrameState
    {
        private readonly CodedRepair _repair;
        private readonly Ring _ring;
        private readonly BlobId _blob;
        private readonly BlobLayout _layout;
        private readonly uint _frame;
        private readonly int _pieceBytes;
        private readonly int[] _homes;
        private readonly int[] _others;
        private readonly List<int>[] _holders;
        private readonly int[] _atHome;

        /// <summary>Named by an index, good or not: only a good one may be written over it.</summary>
        private readonly Dictionary<int, int> _named = [];
        private readonly HashSet<int> _away = [];

        public FrameState(CodedRepair repair, Ring ring, BlobId blob, BlobLayout layout, uint frame, int frameBytes, int[] homes, int[] others)
        {
            (_repair, _ring, _blob, _layout, _frame, _homes, _others) = (repair, ring, blob, layout, frame, homes, others);
            _pieceBytes = layout.PieceBytes(frameBytes);
            _holders = new List<int>[layout.PieceCount(ring)];
            _atHome = new int[_holders.Length];
        }

        /// <summary>Different fragments that are there.</summary>
        public int PieceCount => _holders.Count(h => h.Count > 0);

        /// <summary>Each fragment is on a home.</summary>
        public bool IsHome => _atHome.All(d => d >= 0);

        /// <summary>Devices that have something of the frame, good or not.</summary>
        public IEnumerable<int> Occupied => _named.Keys;

        /// <summary>What the device has of the frame another has, too.</summary>
        public bool IsElsewhere(int device) => _holders.All(h => !h.Contains(device) || h.Count > 1);

        public async ValueTask LookAsync(bool verify)
        {
            for (var piece = 0; piece < _holders.Length; piece++)
            {
                _holders[piece] = [];
                foreach (var device in _homes.Concat(_others))
                {
                    var found = await _repair._node.FindFrameAsync(device, _blob, _layout.NumberOf(_frame, piece));
                    if (found != BlobStatus.Ok)
                    {
                        _ = found == BlobStatus.Unavailable && _away.Add(device);
                        continue;
                    }

                    _named[device] = piece;
                    if (!verify || await TryReadAsync(device, piece, _repair._made.AsMemory(0, _pieceBytes)))
                    {
                        _holders[piece].Add(device);
                    }
                }

                _atHome[piece] = _holders[piece].FirstOrDefault(_homes.Contains, -1);
            }
        }

        public async ValueTask RepairAsync()
        {
            for (var piece = 0; piece < _holders.Length; piece++)
            {
                if (_atHome[piece] < 0 && HomeFor(piece) is { } home && await TryMakeAsync(piece) && await WriteAsync(home, piece, standsInFor: null))
                {
                    _atHome[piece] = home;
                }
            }

            // A home that is away for long, or has a fragment that belongs to another, is stood in for; a short absence moves nothing.
            var mayStandIn = _homes.Count(h => _repair._devices.IsAwayForLong(h) || (_named.ContainsKey(h) && !_atHome.Contains(h)));
            for (var piece = 0; piece < _holders.Length && mayStandIn > 0; piece++)
            {
                if (_holders[piece].Count == 0
                    && _others.FirstOrDefault(d => !_named.ContainsKey(d) && _ring.Device(d).Weight > 0, -1) is >= 0 and var device
                    && await TryMakeAsync(piece) && await WriteAsync(device, piece, _homes.First(h => !_atHome.Contains(h))))
                {
                    mayStandIn--;
                }
            }
        }

        /// <summary>The home whose own copy of the fragment is damaged, or one that has none of the frame.</summary>
        private int? HomeFor(int piece)
        {
            foreach (var home in _homes)
            {
                if (_named.TryGetValue(home, out var held) && held == piece)
                {
                    return home;
                }
            }

            foreach (var home in _homes)
            {
                if (!_named.ContainsKey(home) && !_away.Contains(home))
                {
                    return home;
                }
            }

            return null;
        }

        /// <summary>Puts a fragment into memory: from a device that has it, or made of others.</summary>
        private async ValueTask<bool> TryMakeAsync(int piece)
        {
            var made = _repair._made.AsMemory(0, _pieceBytes);
            if (await TryReadAnyAsync(piece, made))
            {
                return true;
            }

            var code = _layout.Code!;
            var numbers = new int[code.DataCount];
            var count = 0;
            for (var other = 0; other < _holders.Length && count < numbers.Length; other++)
            {
                if (other != piece && await TryReadAnyAsync(other, _repair._given.AsMemory(count * _pieceBytes, _pieceBytes)))
                {
                    numbers[count++] = other;
                }
            }

            if (count < numbers.Length)
            {
                return false;
            }

            code.Reconstruct(numbers, _repair._given.AsSpan(0, count * _pieceBytes), [piece], made.Span, _pieceBytes);
            return true;
        }

        private async ValueTask<bool> TryReadAnyAsync(int piece, Memory<byte> target)
        {
            foreach (var device in _holders[piece])
            {
                if (await TryReadAsync(device, piece, target))
                {
                    return true;
                }
            }

            return false;
        }

        private async ValueTask<bool> WriteAsync(int device, int piece, int? standsInFor)
        {
            var payload = _repair._made.AsMemory(0, _pieceBytes);
            NeedleHeader.HashBlocks(payload.Span, _repair._checksums);
            var write = new FrameWrite(_blob, _layout.NumberOf(_frame, piece), payload, _repair._checksums, default, standsInFor);
            if (await _repair._node.WriteFrameAsync(device, write) != BlobStatus.Ok)
            {
                return false;
            }

            _repair.Repaired++;
            _named[device] = piece;
            _holders[piece].Add(device);
            return true;
        }

        private async ValueTask<bool> TryReadAsync(int device, int piece, Memory<byte> target)
        {
            var read = await _repair._node.ReadFrameAsync(device, _blob, _layout.NumberOf(_frame, piece), 0, target);
            return read.Status == BlobStatus.Ok && read.PayloadBytes == _pieceBytes && read.ReadBytes == _pieceBytes;
        }
    }
}
