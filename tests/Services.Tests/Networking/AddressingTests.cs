using CsCheck;
using Nephos.Networking.Addressing;
using Nephos.Networking.SubnetPools;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class AddressingTests
{
    private static readonly Gen<IpAddress> V4 = Gen.UInt.Select(number => new IpAddress(number, 4));
    private static readonly Gen<IpAddress> V6 = Gen.ULong.Select(Gen.ULong, (high, low) => new IpAddress(new UInt128(high, low), 6));
    private static readonly Gen<IpAddress> Addresses = Gen.OneOf(V4, V6);

    private static readonly Gen<Cidr> Cidrs = Addresses.SelectMany(address => Gen.Int[0, address.Bits].Select(length => Cidr.Around(address, length)));

    // Blocks of one small range, so that they often meet.
    private static readonly Gen<Cidr> SmallCidrs = Gen.Int[0, 255].Select(Gen.Int[24, 32], (number, length) => Cidr.Around(new IpAddress((UInt128)number, 4), length));

    [Fact]
    public void An_address_is_what_its_text_says() =>
        Addresses.Sample(address => IpAddress.TryParse(address.ToString(), out var parsed) && parsed == address);

    [Fact]
    public void A_block_is_what_its_text_says() =>
        Cidrs.Sample(cidr => Cidr.TryParse(cidr.ToString(), out var parsed, out var exact) && parsed == cidr && exact);

    [Fact]
    public void A_block_holds_the_address_it_was_made_around() =>
        Addresses.SelectMany(address => Gen.Int[0, address.Bits].Select(length => (address, length)))
            .Sample((address, length) => Cidr.Around(address, length).Contains(address));

    [Fact]
    public void Blocks_overlap_when_they_share_an_address() => SmallCidrs.Select(SmallCidrs).Sample((left, right) =>
        left.Overlaps(right) == Numbers(left).Intersect(Numbers(right)).Any() && left.Overlaps(right) == right.Overlaps(left));

    [Fact]
    public void A_range_without_an_address_has_all_others() => SmallCidrs.Select(Gen.Int[0, 255]).Sample((cidr, number) =>
    {
        var hole = new IpAddress((UInt128)number, 4);
        var left = cidr.Range.Without(hole).SelectMany(range => Numbers(range)).ToList();
        return left.SequenceEqual(Numbers(cidr).Where(other => other != number));
    });

    [Fact]
    public void Counting_through_pools_meets_each_address_once() => SmallCidrs.List[0, 6].Sample(cidrs =>
    {
        var pools = PoolAllocation.Merge(cidrs).Select(cidr => cidr.Range).ToList();
        var total = pools.Aggregate(UInt128.Zero, (sum, pool) => sum + pool.Count);
        var counted = Enumerable.Range(0, (int)total).Select(i => AddressPools.Nth(pools, (UInt128)i)).ToList();
        return counted.SequenceEqual(AddressPools.Free(pools, new HashSet<IpAddress>())) && counted.Distinct().Count() == counted.Count;
    });

    [Fact]
    public void Merged_prefixes_hold_the_same_addresses_and_are_disjoint() => SmallCidrs.List[0, 12].Sample(cidrs =>
    {
        var merged = PoolAllocation.Merge(cidrs);
        var before = cidrs.SelectMany(Numbers).Distinct().Order();
        return merged.SelectMany(Numbers).SequenceEqual(before);
    });

    [Fact]
    public void A_pool_gives_the_lowest_block_that_is_free() =>
        SmallCidrs.List[1, 3].Select(SmallCidrs.List[0, 12], Gen.Int[24, 32]).Sample((prefixes, taken, length) =>
        {
            var pool = PoolAllocation.Merge(prefixes);
            var used = taken.SelectMany(Numbers).ToHashSet();
            var inPool = pool.SelectMany(Numbers).ToHashSet();
            var size = 1 << (32 - length);
            int? expected = null;
            for (var start = 0; start < 256 && expected is null; start += size)
            {
                var fits = Enumerable.Range(start, size).All(number => inPool.Contains(number) && !used.Contains(number));

                // A block lies inside one prefix: two that touch are one after merging, unless they are not aligned.
                expected = fits && pool.Any(prefix => prefix.Contains(new Cidr(new IpAddress((UInt128)start, 4), length))) ? start : null;
            }

            var found = PoolAllocation.FindFree(pool, taken, length);
            return found is null ? expected is null : (int)found.Value.First.Number == expected && found.Value.PrefixLength == length;
        });

    [Theory]
    [InlineData("1.2.3")]
    [InlineData("01.2.3.4")]
    [InlineData("1.2.3.4 ")]
    [InlineData("1.2.3.256")]
    [InlineData("fe80::1%eth0")]
    [InlineData("[::1]")]
    [InlineData("")]
    [InlineData("1")]
    [InlineData(":::")]
    public void Text_that_is_no_address_is_refused(string text) => Assert.False(IpAddress.TryParse(text, out _));

    [Theory]
    [InlineData("192.168.1./24")]
    [InlineData("192.168.1.1/33")]
    [InlineData("::/129")]
    [InlineData("10.0.0.0/-1")]
    [InlineData("10.0.0.0/+8")]
    [InlineData("bad_prefix")]
    [InlineData("256")]
    public void Text_that_is_no_block_is_refused(string text) => Assert.False(Cidr.TryParse(text, out _, out _));

    [Theory]
    [InlineData("10.0.0.0/24", "10.0.0.1", "10.0.0.254")]
    [InlineData("10.0.0.0/30", "10.0.0.1", "10.0.0.2")]
    [InlineData("10.0.0.0/31", "10.0.0.0", "10.0.0.1")]
    [InlineData("10.0.0.7/32", "10.0.0.7", "10.0.0.7")]
    [InlineData("2001:db8::/64", "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff")]
    public void Hosts_have_neither_the_network_nor_the_broadcast_address(string cidr, string first, string last) =>
        Assert.Equal(new AddressRange(IpAddress.Parse(first), IpAddress.Parse(last)), Cidr.Parse(cidr).Hosts);

    [Theory]
    [InlineData("fa:16:3e:7a:89:90", "2001:db8::/64", "2001:db8::f816:3eff:fe7a:8990")]
    [InlineData("00:00:5e:00:53:01", "fd00::/64", "fd00::200:5eff:fe00:5301")]
    public void An_interface_makes_its_address_of_its_mac_address(string mac, string prefix, string address) =>
        Assert.Equal(address, MacAddress.Eui64(mac, Cidr.Parse(prefix)).ToString());

    [Theory]
    [InlineData("FA-16-3E-00-00-01", "fa:16:3e:00:00:01")]
    [InlineData("fa:16:3e:00:00:01", "fa:16:3e:00:00:01")]
    [InlineData("00:00:00:00:00:00", null)]
    [InlineData("01:00:5e:00:00:01", null)]
    [InlineData("fa:16:3e:00:00", null)]
    [InlineData("fa:16:3e:00:00:0g", null)]
    public void A_mac_address_is_read_in_its_usual_spellings(string text, string? canonical) =>
        Assert.Equal(canonical, MacAddress.TryParse(text, out var mac) ? mac : null);

    private static IEnumerable<int> Numbers(Cidr cidr) => Numbers(cidr.Range);

    private static IEnumerable<int> Numbers(AddressRange range) => Enumerable.Range((int)range.Start.Number, (int)range.Count);
}
