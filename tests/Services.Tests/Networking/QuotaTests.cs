using Nephos.Networking;
using Nephos.Networking.Quotas;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class QuotaTests : NetworkWorld
{
    protected override NetworkQuotaOptions Quota => new() { Network = 3, Port = 5, SecurityGroupRule = 6 };

    [Fact]
    public async Task Creates_at_once_never_exceed_the_quota()
    {
        var results = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => Task.Run(() => Record.ExceptionAsync(() => NetworkAsync(Alice)))));

        Assert.Equal(3, results.Count(result => result is null));
        Assert.All(results.OfType<Kernel.Errors.FaultException>(), fault => Assert.Equal(ErrorReason.NetworkQuotaExceeded, fault.Reason));
        await NetworkAsync(Bob);
    }

    [Fact]
    public async Task A_deleted_object_frees_its_place_once()
    {
        var network = await NetworkAsync(Alice);

        await Networks.DeleteAsync(Alice, network.Id, None);
        await FailsAsync(ErrorReason.NetworkNotFound, () => Networks.DeleteAsync(Alice, network.Id, None));

        Assert.Equal(0, await UsedAsync(Alice, QuotaResources.Network));
    }

    [Fact]
    public async Task Administrators_set_and_reset_the_limits_of_a_project()
    {
        await Quotas.UpdateAsync(Admin, Alice.ProjectId!, new Dictionary<string, long> { ["network"] = 0, ["port"] = -1 }, None);

        await FailsAsync(ErrorReason.NetworkQuotaExceeded, () => NetworkAsync(Alice));
        Assert.Equal([Alice.ProjectId!], await Quotas.ListProjectsAsync(Admin, None));
        await Quotas.ResetAsync(Admin, Alice.ProjectId!, None);
        await NetworkAsync(Alice);
    }

    [Fact]
    public async Task Nobody_else_sets_limits_or_sees_those_of_others()
    {
        await FailsAsync(ErrorReason.Forbidden,
            () => Quotas.UpdateAsync(Alice, Alice.ProjectId!, new Dictionary<string, long> { ["network"] = 99 }, None));
        await FailsAsync(ErrorReason.Forbidden, () => Quotas.GetAsync(Bob, Alice.ProjectId!, defaults: false, None));
        await FailsAsync(ErrorReason.InvalidArgument,
            () => Quotas.UpdateAsync(Admin, Alice.ProjectId!, new Dictionary<string, long> { ["moons"] = 1 }, None));
        await FailsAsync(ErrorReason.InvalidArgument,
            () => Quotas.UpdateAsync(Admin, Alice.ProjectId!, new Dictionary<string, long> { ["network"] = -2 }, None));
    }

    [Fact]
    public async Task A_request_that_fails_counts_nothing()
    {
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/30");
        await PortAsync(Alice, network);

        await FailsAsync(ErrorReason.NoIpAddressLeft, () => PortAsync(Alice, network));

        Assert.Equal(1, await UsedAsync(Alice, QuotaResources.Port));
    }
}
