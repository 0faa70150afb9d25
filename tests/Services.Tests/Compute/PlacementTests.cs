using Nephos.Compute;
using Nephos.Compute.Instances;
using Nephos.Compute.Nodes;
using Nephos.Compute.Placement;
using Nephos.Compute.Quotas;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Compute;

using Node = Nephos.Compute.Nodes.Node;

public sealed class PlacementTests
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly ComputeOptions Tight = new() { CpuAllocationRatio = 1, MemoryAllocationRatio = 1, ReservedMemoryMib = 0 };

    [Fact]
    public void Each_filter_says_how_many_nodes_it_left_and_why()
    {
        Candidate[] nodes =
        [
            Node("a", vcpus: 8, memoryMib: 8192) with { Up = false },
            Node("b", vcpus: 1, memoryMib: 8192),
            Node("c", vcpus: 8, memoryMib: 1024),
            new(Node("d", 8, 8192).Node with { Enabled = false }, new NodeUsage("d", 0, 0, 0, 0), Up: true),
        ];

        var answer = new Placer(Tight).Choose(nodes, new PlacementRequest(2, 2048, 0, null, null, new Dictionary<string, string>()), new Random(1));

        Assert.Empty(answer.Nodes);
        Assert.Equal(
            [
                "4 hypervisors known", "enabled: 3 of 4 left (d disabled)", "alive: 2 of 3 left (a not heard of)",
                "2 VCPUs: 1 of 2 left (b lacks 1 VCPUs)", "2048 MiB of memory: 0 of 1 left (c lacks 1024 MiB)",
            ],
            answer.Notes);
    }

    [Fact]
    public void The_best_few_come_first_in_an_order_that_depends_on_the_seed()
    {
        Candidate[] nodes = [.. Enumerable.Range(0, 10).Select(index => Node($"n{index}", 8, 16384) with
        {
            Usage = new NodeUsage($"n{index}", 0, 1024 * (9 - index), 0, 0),
        })];
        var request = new PlacementRequest(1, 512, 0, null, null, new Dictionary<string, string>());

        var orders = Enumerable.Range(0, 20).Select(seed => new Placer(Tight).Choose(nodes, request, new Random(seed)).Nodes.Select(item => item.Node.Id).ToArray()).ToArray();

        Assert.All(orders, order => Assert.Equal(["n7", "n8", "n9"], order.Take(3).Order()));
        Assert.All(orders, order => Assert.Equal(10, order.Length));
        Assert.True(orders.Select(order => order[0]).Distinct().Count() > 1);
    }

    [Fact]
    public void A_flavor_may_ask_for_a_proven_feature()
    {
        var plain = Node("plain", 8, 8192);
        var fast = plain with { Node = plain.Node with { Id = "fast", HostName = "fast", Traits = new Dictionary<string, string> { ["acceleration"] = "kvm (it ran)" } } };

        var answer = new Placer(Tight).Choose(
            [plain, fast], new PlacementRequest(1, 1, 0, null, null, new Dictionary<string, string> { ["trait:acceleration"] = "kvm" }), new Random(1));

        Assert.Equal(["fast"], answer.Nodes.Select(item => item.Node.Id));
    }

    [Fact]
    public async Task Of_two_creates_for_the_last_place_one_gets_it_and_the_other_says_why_not()
    {
        await using var world = await ComputeWorld.StartAsync(Tight);
        await world.AddNodeAsync("node", vcpus: 1, memoryMib: 8192);

        var made = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => world.CreateAsync()));

        Assert.Single(made, item => item.Instance.Claim is not null);
        Assert.All(made.Where(item => item.Instance.Claim is null), item =>
        {
            Assert.Equal(InstanceStatus.Error, item.View.Status);
            Assert.StartsWith("No valid host was found", item.View.Fault!.Message, StringComparison.Ordinal);
            Assert.NotEmpty(item.Instance.PlacementNotes);
        });
        Assert.Equal(new NodeUsage("node", 1, 128, 1, 1), await world.UsageOfAsync("node"));
    }

    [Fact]
    public async Task Two_services_over_one_store_do_not_promise_a_place_twice()
    {
        await using var world = await ComputeWorld.StartAsync(Tight);
        await world.AddNodeAsync("node", vcpus: 1, memoryMib: 8192);
        var draft = (await world.CreateAsync(world.Wish("first"))).Instance;
        await world.Instances.DeleteAsync(ComputeWorld.User, draft.Id, None);
        await world.SettleAsync(draft.Id);
        var placer = new Placer(Tight);

        // What two processes do that see the same picture: both decide, both claim.
        var claims = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => world.Store.TransactAsync(async transaction =>
        {
            var usage = await transaction.GetAsync(NodeUsage.Table, "node", None) ?? new NodeUsage("node", 0, 0, 0, 0);
            var claim = new Claim("node", 1, 128, 1);
            var fits = placer.Fits(world.Get<NodeRegistry>().Find("node")!, usage, claim);
            if (fits)
            {
                transaction.Put(NodeUsage.Table, usage.Plus(claim));
            }
            return fits;
        }, None))));

        Assert.Single(claims, won => won);
    }

    [Fact]
    public async Task Quota_is_taken_with_the_instance_and_given_back_once_however_often_it_is_deleted()
    {
        await using var world = await ComputeWorld.StartAsync(new ComputeOptions { QuotaInstances = 2 });
        await world.AddNodeAsync("node");
        var made = await world.CreateRunningAsync();
        await world.CreateAsync();

        var refused = await Assert.ThrowsAsync<FaultException>(() => world.CreateAsync());
        Assert.Equal(ErrorReason.QuotaExceeded, refused.Reason);

        await world.Instances.DeleteAsync(ComputeWorld.User, made.Instance.Id, None);
        await world.Instances.DeleteAsync(ComputeWorld.User, made.Instance.Id, None);
        await world.SettleAsync(made.Instance.Id);
        await world.PassAsync(made.Instance.Id);

        var entries = await world.Get<QuotaService>().GetAsync(ComputeWorld.User, ComputeWorld.Project, None);
        Assert.Equal(1, entries.Single(entry => entry.Resource == "instances").InUse);
        Assert.Equal(128, entries.Single(entry => entry.Resource == "ram").InUse);
        Assert.Equal(new NodeUsage("node", 1, 128, 1, 1), await world.UsageOfAsync("node"));
        await world.CreateAsync();
    }

    [Fact]
    public async Task Many_at_once_get_as_many_as_the_quota_allows_but_not_less_than_asked_for()
    {
        await using var world = await ComputeWorld.StartAsync(new ComputeOptions { QuotaInstances = 3 });
        await world.AddNodeAsync("node");

        await Assert.ThrowsAsync<FaultException>(() => world.CreateAsync(world.Wish() with { MinCount = 4, MaxCount = 5 }));
        var made = await world.Get<InstanceCreation>().CreateAsync(ComputeWorld.User, world.Wish("vm") with { MinCount = 1, MaxCount = 5 }, None);

        Assert.Equal(["vm-1", "vm-2", "vm-3"], made.Select(item => item.Instance.Name));
        Assert.Single(made.Select(item => item.Instance.ReservationId).Distinct());
    }

    [Fact]
    public async Task A_create_that_is_repeated_with_its_key_makes_nothing_new()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var wish = world.Wish() with { IdempotencyKey = "once", MinCount = 2, MaxCount = 2 };

        var answers = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => world.Get<InstanceCreation>().CreateAsync(ComputeWorld.User, wish, None)));

        Assert.Single(answers.Select(answer => string.Join(',', answer.Select(item => item.Instance.Id))).Distinct());
        Assert.Equal(2, (await world.UsageOfAsync("node")).Instances);
    }

    private static Candidate Node(string id, int vcpus, long memoryMib) => new(
        new Node { Id = id, HostName = id, Uuid = id, Vcpus = vcpus, MemoryMib = memoryMib, AvailabilityZone = "nova" }, new NodeUsage(id, 0, 0, 0, 0), Up: true);
}
