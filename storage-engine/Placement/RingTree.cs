namespace Nephos.Placement;

/// <summary>A failure domain, or a device at the leaves, with how many replicas it should hold and holds.</summary>
internal sealed class RingTier
{
    public required int Depth { get; init; }

    public required RingTier? Parent { get; init; }

    /// <summary>The device, at a leaf.</summary>
    public RingDevice? Device { get; init; }

    public List<RingTier> Children { get; } = [];

    public double Weight { get; set; }

    /// <summary>Devices beneath that may hold data.</summary>
    public int DeviceCount { get; set; }

    /// <summary>Most replicas of one partition that dispersion allows here.</summary>
    public int ReplicasMax { get; set; }

    /// <summary>Replicas of partitions that this place should hold.</summary>
    public long Quota { get; set; }

    public long Count { get; set; }

    public long Need => Quota - Count;
}

/// <summary>Regions, zones, nodes and devices as a tree, with the share of each.</summary>
internal sealed class RingTree
{
    private readonly Dictionary<int, RingTier> _leaves = [];

    private RingTree(RingTier root) => Root = root;

    public RingTier Root { get; }

    /// <summary>Regions, zones, nodes, devices: levels below the root.</summary>
    public const int Depth = 4;

    /// <summary>The leaf of a device that may hold data; null for a drained or unknown one.</summary>
    public RingTier? Leaf(int device) => _leaves.GetValueOrDefault(device);

    public IEnumerable<RingTier> Leaves => _leaves.Values;

    public static RingTree Build(IEnumerable<RingDevice> devices, int replicas, long partitions)
    {
        var root = new RingTier { Depth = 0, Parent = null };
        var tree = new RingTree(root);
        var tiers = new Dictionary<(string, string?, string?), RingTier>();
        foreach (var device in devices.Where(d => d.Weight > 0).OrderBy(d => d.Id))
        {
            var region = Tier((device.Region, null, null), root);
            var zone = Tier((device.Region, device.Zone, null), region);
            var node = Tier((device.Region, device.Zone, device.Node), zone);
            var leaf = new RingTier { Depth = Depth, Parent = node, Device = device };
            node.Children.Add(leaf);
            tree._leaves.Add(device.Id, leaf);
            for (var tier = leaf; tier is not null; tier = tier.Parent)
            {
                tier.Weight += device.Weight;
                tier.DeviceCount++;
            }
        }

        root.ReplicasMax = replicas;
        root.Quota = partitions * replicas;
        Share(root, partitions);
        return tree;

        RingTier Tier((string, string?, string?) key, RingTier parent)
        {
            if (!tiers.TryGetValue(key, out var tier))
            {
                tiers[key] = tier = new RingTier { Depth = parent.Depth + 1, Parent = parent };
                parent.Children.Add(tier);
            }

            return tier;
        }
    }

    /// <summary>Hands the parent's replicas down by weight; nobody gets more than dispersion allows, and what is cut goes to the others.</summary>
    private static void Share(RingTier parent, long partitions)
    {
        if (parent.Children.Count == 0)
        {
            return;
        }

        // As even as the domains allow: raise the level until all of a partition's replicas find a place.
        var level = (parent.ReplicasMax + parent.Children.Count - 1) / parent.Children.Count;
        while (parent.Children.Sum(c => Math.Min(level, c.DeviceCount)) < Math.Min(parent.ReplicasMax, parent.DeviceCount))
        {
            level++;
        }

        foreach (var child in parent.Children)
        {
            child.ReplicasMax = Math.Min(level, child.DeviceCount);
        }

        var open = new List<RingTier>(parent.Children);
        var left = parent.Quota;
        while (true)
        {
            var weight = open.Sum(c => c.Weight);
            var capped = open.Where(c => left * (c.Weight / weight) >= c.ReplicasMax * partitions).ToList();
            if (capped.Count == 0)
            {
                Divide(open, left, weight);
                break;
            }

            foreach (var child in capped)
            {
                child.Quota = Math.Min(left, child.ReplicasMax * partitions);
                left -= child.Quota;
                open.Remove(child);
            }

            if (open.Count == 0)
            {
                break;
            }
        }

        foreach (var child in parent.Children)
        {
            Share(child, partitions);
        }
    }

    /// <summary>Whole numbers by weight that add up exactly; the largest remainders are rounded up.</summary>
    private static void Divide(List<RingTier> tiers, long total, double weight)
    {
        var assigned = 0L;
        var remainders = new List<(RingTier Tier, double Remainder, int Order)>(tiers.Count);
        for (var order = 0; order < tiers.Count; order++)
        {
            var exact = total * (tiers[order].Weight / weight);
            tiers[order].Quota = (long)Math.Floor(exact);
            assigned += tiers[order].Quota;
            remainders.Add((tiers[order], exact - Math.Floor(exact), order));
        }

        foreach (var (tier, _, _) in remainders.OrderByDescending(r => r.Remainder).ThenBy(r => r.Order).Take((int)(total - assigned)))
        {
            tier.Quota++;
        }
    }
}
