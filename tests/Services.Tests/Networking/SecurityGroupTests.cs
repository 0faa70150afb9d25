using Nephos.Networking;
using Nephos.Networking.Quotas;
using Nephos.Networking.SecurityGroups;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class SecurityGroupTests : NetworkWorld
{
    [Fact]
    public async Task The_default_group_is_made_once_and_lets_its_members_in()
    {
        var made = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Defaults.EnsureAsync(Alice.ProjectId!, None))));

        var group = Assert.Single(made.DistinctBy(one => one.Id));
        Assert.Equal(4, group.Rules.Count);
        Assert.All(group.Rules.Where(rule => rule.Direction == RuleDirection.Ingress), rule => Assert.Equal(group.Id, rule.RemoteGroupId));
        await FailsAsync(ErrorReason.DefaultSecurityGroupExists, () => Groups.CreateAsync(Alice, new NewSecurityGroup { Name = "default" }, None));
        await FailsAsync(ErrorReason.CannotRemoveDefaultSecurityGroup, () => Groups.DeleteAsync(Alice, group.Id, None));
        await FailsAsync(ErrorReason.CannotUpdateDefaultSecurityGroup,
            () => Groups.UpdateAsync(Alice, group.Id, new SecurityGroupChanges { Name = "mine" }, None));
        await Groups.DeleteAsync(Admin, group.Id, None);
    }

    [Fact]
    public async Task A_new_group_lets_everything_out()
    {
        var group = await GroupAsync();

        Assert.Equal([(RuleDirection.Egress, 4), (RuleDirection.Egress, 6)], group.Rules.Select(rule => (rule.Direction, rule.IpVersion)));
    }

    [Fact]
    public async Task A_rule_that_is_there_already_is_refused_however_it_is_written()
    {
        var group = await GroupAsync();
        await AddAsync(group, rule => rule with { Protocol = "tcp", PortRangeMin = 22, PortRangeMax = 22, RemoteIpPrefix = "10.0.0.0/8" });

        await FailsAsync(ErrorReason.SecurityGroupRuleExists,
            () => AddAsync(group, rule => rule with { Protocol = "6", PortRangeMin = 22, PortRangeMax = 22, RemoteIpPrefix = "10.1.2.3/8" }));
        await AddAsync(group, rule => rule with { Protocol = "udp", PortRangeMin = 22, PortRangeMax = 22, RemoteIpPrefix = "10.0.0.0/8" });
    }

    public static TheoryData<string, string?, int?, int?, int, ErrorReason> BadRules => new()
    {
        { "unknown name", "bad_protocol_name", null, null, 4, ErrorReason.RuleProtocolInvalid },
        { "number above 255", "256", null, null, 4, ErrorReason.RuleProtocolInvalid },
        { "negative number", "-1", null, null, 4, ErrorReason.RuleProtocolInvalid },
        { "negative port", "tcp", -16, 80, 4, ErrorReason.RulePortValueInvalid },
        { "port above 65535", "tcp", 80, 65536, 4, ErrorReason.RulePortValueInvalid },
        { "port 0", "tcp", 0, 80, 4, ErrorReason.RulePortValueInvalid },
        { "backwards", "tcp", 80, 79, 4, ErrorReason.RulePortRangeInvalid },
        { "half a range", "tcp", null, 6, 4, ErrorReason.RulePortRangeInvalid },
        { "ports of a protocol without", "gre", 1, 2, 4, ErrorReason.RulePortRangeInvalid },
        { "ports of every protocol", null, 1, 2, 4, ErrorReason.RuleProtocolRequired },
        { "ICMP type", "icmp", 300, 1, 4, ErrorReason.RuleIcmpValueInvalid },
        { "ICMP code", "icmp", 1, 256, 4, ErrorReason.RuleIcmpValueInvalid },
        { "ICMP code alone", "icmp", null, 6, 4, ErrorReason.RuleIcmpTypeMissing },
        { "ICMPv6 in IPv4", "icmpv6", null, null, 4, ErrorReason.RuleParameterConflict },
    };

    [Theory]
    [MemberData(nameof(BadRules))]
    public async Task A_rule_that_means_nothing_is_refused(string what, string? protocol, int? min, int? max, int version, ErrorReason reason)
    {
        Assert.NotEmpty(what);
        var group = await GroupAsync();

        await FailsAsync(reason, () => AddAsync(group, rule => rule with
        {
            Protocol = protocol, PortRangeMin = min, PortRangeMax = max, IpVersion = version,
        }));
    }

    [Theory]
    [InlineData("192.168.1./24", ErrorReason.InvalidArgument)]
    [InlineData("192.168.1.1/33", ErrorReason.InvalidArgument)]
    [InlineData("2001:db8::/64", ErrorReason.RuleParameterConflict)]
    public async Task A_prefix_of_another_version_or_none_is_refused(string prefix, ErrorReason reason)
    {
        var group = await GroupAsync();

        await FailsAsync(reason, () => AddAsync(group, rule => rule with { RemoteIpPrefix = prefix }));
    }

    [Fact]
    public async Task An_icmp_rule_may_name_a_type_without_a_code()
    {
        var rule = await AddAsync(await GroupAsync(), rule => rule with { Protocol = "icmp", PortRangeMin = 8 });

        Assert.Equal((8, null), (rule.PortRangeMin, rule.PortRangeMax));
    }

    [Fact]
    public async Task A_remote_group_must_exist_and_takes_the_rules_that_name_it_along()
    {
        var group = await GroupAsync();
        var remote = await GroupAsync();
        await AddAsync(group, rule => rule with { RemoteGroupId = remote.Id });

        await FailsAsync(ErrorReason.SecurityGroupNotFound, () => AddAsync(group, rule => rule with { RemoteGroupId = Guid.NewGuid().ToString() }));
        await FailsAsync(ErrorReason.RuleRemotesExcludeEachOther,
            () => AddAsync(group, rule => rule with { RemoteGroupId = remote.Id, RemoteIpPrefix = "10.0.0.0/8" }));
        var used = await UsedAsync(Alice, QuotaResources.SecurityGroupRule);
        await Groups.DeleteAsync(Alice, remote.Id, None);

        Assert.Equal(2, (await Store.ViewAsync(None)).SecurityGroups[group.Id].Rules.Count);
        Assert.Equal(used - 3, await UsedAsync(Alice, QuotaResources.SecurityGroupRule));
    }

    [Fact]
    public async Task A_group_that_a_port_has_stays()
    {
        var group = await GroupAsync();
        var port = await PortAsync(Alice, await NetworkAsync(Alice), request => request with { SecurityGroups = [group.Id] });

        await FailsAsync(ErrorReason.SecurityGroupInUse, () => Groups.DeleteAsync(Alice, group.Id, None));

        await Ports.DeleteAsync(Alice, port.Id, None);
        await Groups.DeleteAsync(Alice, group.Id, None);
    }

    [Fact]
    public async Task Groups_and_rules_of_others_are_not_found()
    {
        var group = await GroupAsync();

        await FailsAsync(ErrorReason.SecurityGroupNotFound, () => Groups.DeleteAsync(Bob, group.Id, None));
        await FailsAsync(ErrorReason.SecurityGroupRuleNotFound, () => Groups.DeleteRuleAsync(Bob, group.Rules[0].Id, None));
        await FailsAsync(ErrorReason.SecurityGroupNotFound,
            () => Groups.AddRulesAsync(Bob, [new NewRule { SecurityGroupId = group.Id, Direction = RuleDirection.Ingress }], None));
        await Groups.DeleteRuleAsync(Alice, group.Rules[0].Id, None);
        await FailsAsync(ErrorReason.SecurityGroupRuleNotFound, () => Groups.DeleteRuleAsync(Alice, group.Rules[0].Id, None));
    }

    private Task<SecurityGroup> GroupAsync() => Groups.CreateAsync(Alice, new NewSecurityGroup { Name = "web" }, None);

    private async Task<SecurityGroupRule> AddAsync(SecurityGroup group, Func<NewRule, NewRule> shape) =>
        (await Groups.AddRulesAsync(Alice, [shape(new NewRule { SecurityGroupId = group.Id, Direction = RuleDirection.Ingress })], None))[0].Rule;
}
