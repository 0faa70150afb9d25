using System.Globalization;
using Nephos.Compute.Nodes;

namespace Nephos.Compute.Placement;

/// <summary>A node as placement sees it.</summary>
internal sealed record Candidate(Node Node, NodeUsage Usage, bool Up);

/// <param name="HostName">The only node that will do; null: any.</param>
internal sealed record PlacementRequest(
    int Vcpus, long MemoryMib, long DiskGib, string? Zone, string? HostName, IReadOnlyDictionary<string, string> ExtraSpecs);

/// <param name="Nodes">In the order to try; empty: nowhere.</param>
/// <param name="Notes">Each filter and how many nodes it left, for the question why.</param>
internal sealed record PlacementAnswer(IReadOnlyList<Candidate> Nodes, IReadOnlyList<string> Notes);

/// <summary>Where instances go. Filters and weighs only; the claim is a commit, so a candidate may be full when it is tried.</summary>
/// <remarks>The best few are tried in random order: many schedulers that look at the same picture do not all take the same node.</remarks>
internal sealed class Placer(ComputeOptions options)
{
    private const int MinBest = 3;
    private const double BestShare = 0.05;
    private const int NamedNodesMax = 3;

    /// <summary>Asks for proven features: <c>trait:acceleration=kvm</c>.</summary>
    private const string TraitPrefix = "trait:";

    public PlacementAnswer Choose(IReadOnlyList<Candidate> nodes, PlacementRequest request, Random random)
    {
        var notes = new List<string> { $"{nodes.Count} hypervisors known" };
        IReadOnlyList<Candidate> left = nodes;
        left = Filter(left, notes, "enabled", candidate => candidate.Node.Enabled ? null : "disabled");
        left = Filter(left, notes, "alive", candidate => candidate.Up ? null : "not heard of");
        if (request.Zone is { } zone)
        {
            left = Filter(left, notes, $"zone {zone}", candidate => candidate.Node.AvailabilityZone == zone ? null : $"in {candidate.Node.AvailabilityZone}");
        }
        if (request.HostName is { } host)
        {
            left = Filter(left, notes, $"host {host}", candidate => candidate.Node.HostName == host ? null : "another host");
        }
        foreach (var (key, wanted) in request.ExtraSpecs.Where(spec => spec.Key.StartsWith(TraitPrefix, StringComparison.Ordinal)))
        {
            var trait = key[TraitPrefix.Length..];
            left = Filter(left, notes, key, candidate =>
                candidate.Node.Traits.GetValueOrDefault(trait) is { } has && has.Split(' ')[0] == wanted ? null : $"has {candidate.Node.Traits.GetValueOrDefault(trait) ?? "none"}");
        }
        left = Filter(left, notes, $"{request.Vcpus} VCPUs", candidate => Lack(CpuRoom(candidate), request.Vcpus, "VCPUs"));
        left = Filter(left, notes, $"{request.MemoryMib} MiB of memory", candidate => Lack(MemoryRoom(candidate), request.MemoryMib, "MiB"));

        var weighed = left.OrderByDescending(Weight).ThenBy(candidate => candidate.Node.Id, StringComparer.Ordinal).ToArray();
        var best = weighed[..Math.Min(weighed.Length, Math.Max(MinBest, (int)Math.Ceiling(nodes.Count * BestShare)))];
        random.Shuffle(best);
        return new PlacementAnswer([.. best, .. weighed[best.Length..]], notes);
    }

    /// <summary>Whether a claim fits on top of what is promised already. Decides inside the commit.</summary>
    public bool Fits(Node node, NodeUsage usage, Claim claim)
    {
        var candidate = new Candidate(node, usage, Up: true);
        return CpuRoom(candidate) >= claim.Vcpus && MemoryRoom(candidate) >= claim.MemoryMib;
    }

    private long CpuRoom(Candidate candidate) => (long)(candidate.Node.Vcpus * options.CpuAllocationRatio) - candidate.Usage.Vcpus;

    private long MemoryRoom(Candidate candidate)
    {
        var reserved = Math.Min(options.ReservedMemoryMib, candidate.Node.MemoryMib / 4);
        return (long)((candidate.Node.MemoryMib - reserved) * options.MemoryAllocationRatio) - candidate.Usage.MemoryMib;
    }

    private double Weight(Candidate candidate)
    {
        var cpus = candidate.Node.Vcpus * options.CpuAllocationRatio;
        var memory = candidate.Node.MemoryMib * options.MemoryAllocationRatio;
        return Math.Min(cpus <= 0 ? 0 : CpuRoom(candidate) / cpus, memory <= 0 ? 0 : MemoryRoom(candidate) / memory);
    }

    private static string? Lack(long room, long wanted, string unit) => room >= wanted ? null : $"lacks {wanted - room} {unit}";

    private static List<Candidate> Filter(IReadOnlyList<Candidate> nodes, List<string> notes, string name, Func<Candidate, string?> refuse)
    {
        var left = new List<Candidate>(nodes.Count);
        var refused = new List<string>();
        foreach (var candidate in nodes)
        {
            if (refuse(candidate) is { } reason)
            {
                refused.Add($"{candidate.Node.HostName} {reason}");
            }
            else
            {
                left.Add(candidate);
            }
        }
        if (nodes.Count > 0)
        {
            var why = refused.Count == 0 ? "" : $" ({string.Join(", ", refused.Take(NamedNodesMax))}{(refused.Count > NamedNodesMax ? ", ..." : "")})";
            notes.Add(string.Create(CultureInfo.InvariantCulture, $"{name}: {left.Count} of {nodes.Count} left{why}"));
        }
        return left;
    }
}
