using System.Net;
using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Nft;
using Nephos.Hypervisor.Network.Plans;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Probe.Tests.Network;

[Collection(NetworkCollection.Name)]
public sealed class RulesetTests
{
    private const int Steps = 60;

    [NetworkFact]
    public void Changing_rules_step_by_step_gives_what_replacing_them_gives()
    {
        for (var seed = 1; seed <= 3; seed++)
        {
            Run(seed);
        }
    }

    private static void Run(int seed)
    {
        var name = $"ntest-{Environment.ProcessId}-rules{seed}";
        using var changed = NetworkNamespace.OpenOrCreate(name + "a", out _);
        using var replaced = NetworkNamespace.OpenOrCreate(name + "b", out _);
        try
        {
            using var changing = changed.Run(() => new NftContext());
            using var replacing = replaced.Run(() => new NftContext());
            var world = new RandomWorld(new Random(seed));
            var numbers = new NodeNumbers();
            NftRuleset? before = null;
            for (var step = 0; step < Steps; step++)
            {
                var state = world.Next();
                numbers.Assign(state, []);
                var rules = DataPlanePlan.Create(state, new NodeNetworkSettings(new DataPlaneNames("x"), null, new Dictionary<string, string>()), numbers).Filter;
                var change = before is null ? new NftChange(rules.Replace(), Removes: false) : rules.ChangeFrom(before);
                Assert.NotNull(change);
                changing.Run(change.Text);
                replacing.Run(rules.Replace());
                before = rules;
                Assert.True(Words(changing) == Words(replacing), $"seed {seed}, step {step}: the rulesets differ after\n{change.Text}");
            }
        }
        finally
        {
            NetworkNamespace.Delete(name + "a");
            NetworkNamespace.Delete(name + "b");
        }
    }

    /// <summary>All words of the listing, sorted: the kernel lists elements in no order.</summary>
    private static string Words(NftContext context) => string.Join(' ', context.Run("list ruleset")
        .Split([' ', ',', '\t', '\n'], StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal));

    /// <summary>Ports, groups, rules, members and address pairs that come and go.</summary>
    private sealed class RandomWorld
    {
        private readonly Random _random;
        private readonly NodeStateBuilder _state = new();
        private readonly List<Wire.NodeSubnet> _subnets;

        public RandomWorld(Random random)
        {
            _random = random;
            _subnets = [.. Enumerable.Range(0, 3).Select(_ => _state.AddSubnet(_state.AddNetwork(), "10.0.0.0/16", "10.0.0.1"))];
            foreach (var _ in Enumerable.Range(0, 4))
            {
                _state.AddGroup();
            }
        }

        public NodeState Next()
        {
            for (var i = _random.Next(1, 4); i > 0; i--)
            {
                Change();
            }

            return _state.Build();
        }

        private void Change()
        {
            var wire = _state.Wire;
            var group = wire.SecurityGroups[_random.Next(wire.SecurityGroups.Count)];
            switch (_random.Next(8))
            {
                case 0 or 1:
                    _state.AddPort(_subnets[_random.Next(_subnets.Count)], Address(), group);
                    break;
                case 2 when wire.Ports.Count > 0:
                    wire.Ports.RemoveAt(_random.Next(wire.Ports.Count));
                    break;
                case 3:
                    var other = wire.SecurityGroups[_random.Next(wire.SecurityGroups.Count)];
                    group.Rules.Add(_random.Next(3) switch
                    {
                        0 => _state.Ingress(6, (uint)_random.Next(1, 100)),
                        1 => _state.Ingress(17, (uint)_random.Next(1, 100), cidr: $"10.{_random.Next(3)}.0.0/16"),
                        _ => _state.Ingress(null, group: other.Id),
                    });
                    break;
                case 4 when group.Rules.Count > 0:
                    group.Rules.RemoveAt(_random.Next(group.Rules.Count));
                    break;
                case 5:
                    var network = _subnets[_random.Next(_subnets.Count)].NetworkId;
                    foreach (var old in wire.GroupMembers.Where(old => old.SecurityGroupId == group.Id && old.NetworkId == network).ToList())
                    {
                        wire.GroupMembers.Remove(old);
                    }

                    wire.GroupMembers.Add(new Wire.NodeGroupMembers
                    {
                        SecurityGroupId = group.Id, NetworkId = network,
                        Addresses = { Enumerable.Range(0, _random.Next(6)).Select(_ => _random.Next(3) == 0 ? $"10.0.{_random.Next(4)}.0/24" : Address()) },
                    });
                    break;
                case 6 when wire.Ports.Count > 0:
                    wire.Ports[_random.Next(wire.Ports.Count)].AllowedAddressPairs.Add(new Wire.NodeAddressPair
                    {
                        IpAddress = _random.Next(2) == 0 ? Address() : $"10.0.{_random.Next(8)}.0/{_random.Next(20, 29)}",
                    });
                    break;
                case 7 when wire.Ports.Count > 0:
                    var port = wire.Ports[_random.Next(wire.Ports.Count)];
                    (port.PortSecurityEnabled, port.FixedIps[0].Address) = (_random.Next(4) > 0, Address());
                    break;
                default:
                    break;
            }
        }

        private string Address() => IPAddress.Parse($"10.0.{_random.Next(4)}.{_random.Next(2, 250)}").ToString();
    }
}
