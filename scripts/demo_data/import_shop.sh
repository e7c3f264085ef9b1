# Sourced by scripts/demo and scripts/evidence: import_shop imports what scripts/demo_data/convert.py wrote to $data, by the function ctl.
import_shop() {
  ctl import items "$data/items.csv.gz" \
    --columns id=item_id,category=category,brand=brand,price=price,attribute.department=department
  ctl import customers "$data/customers.csv.gz" \
    --columns id=customer_id,campaigns=campaigns,attribute.income=income,attribute.kids=kids
  ctl import offers "$data/offers.csv.gz" \
    --columns id=offer_id,campaign=campaign,category=category,items=item_ids,starts_at=starts_at,ends_at=ends_at,attribute.campaign_type=campaign_type,attribute.department=department,attribute.products=products,attribute.private_label_share=private_label_share,attribute.median_price=median_price
  ctl import events "$data/purchases.csv.gz" --history \
    --columns kind=:purchase,customer=customer_id,order=order_id,time=time,item=item_id,quantity=quantity,revenue=revenue
}
